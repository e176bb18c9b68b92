"""The networks against their published code, under the kit's weights, and their layouts key by key."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from trilemma.models import weights
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import loading
from trilemma.models.generators.gan.text_to_image import attngan, df_gan, dm_gan, families, ssa_gan, stackgan
from trilemma.models.generators.gan.text_to_image.drawing import attend
from trilemma.models.generators.gan.text_to_image.stages import with_counters
from trilemma.models.generators.gan.text_to_image.text_encoder import encoder_of
from trilemma.models.generators.gan.text_to_image.words import write
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close, is_close

NETWORKS = {
    "attngan": (attngan.AttnGAN, attngan.sizes_of),
    "df_gan": (df_gan.DFGAN, df_gan.sizes_of),
    "dm_gan": (dm_gan.DMGAN, attngan.sizes_of),
    "ssa_gan": (ssa_gan.SSAGAN, ssa_gan.sizes_of),
    "stackgan_v2": (stackgan.StackGAN, stackgan.sizes_of),
}
LAYOUTS = [(system, "manifest.json") for system in NETWORKS] + [
    ("attngan", "manifest_coco.json"),
    ("dm_gan", "manifest_coco.json"),
]


PUBLISHED = {
    "attngan": ("bird_AttnGAN2.pth", ()),
    "df_gan": ("state_epoch_1220.pth", ("model", "netG")),
    "dm_gan": ("bird_DMGAN.pth", ()),
    "ssa_gan": ("netG_600.pth", ()),
    "stackgan_v2": ("netG_210000.pth", ()),
}
"""Names, and what is around the weights."""
ENCODER = "text_encoder200.pth"


def case_of(system: str, name: str = "golden"):
    """A case, its weights without DataParallel's prefix, and its inputs."""
    case = reference_kit.case(system, name)
    tensors = {key.removeprefix("module."): value for key, value in reference_kit.weights(case).items()}
    return case, tensors, {key: torch.from_numpy(np.asarray(each)) for key, each in inputs_of(case).items()}


def inputs_of(case):
    return {key: value for key, value in reference_kit.inputs(case).items() if value.dtype.kind in "fib"}


def network_of(system: str, tensors):
    make, sizes_of = NETWORKS[system]
    with weights.empty_weights():
        network = make(sizes_of(tensors))
    weights.fill(network, with_counters(network, tensors), system)
    return network


def loaded(system: str, folder: Path):
    """The generator of a file as it is published, by name and wrapper, with what lies beside it."""
    tensors = reference_kit.weights(reference_kit.case(system))
    name, wrapper = PUBLISHED[system]
    content = tensors
    for key in reversed(wrapper):
        content = {key: content}
    torch.save(content, folder / name)
    if system == "stackgan_v2":
        embeddings = torch.rand(2, 10, 1024).numpy()
        (folder / "char-CNN-RNN-embeddings.pickle").write_bytes(pickle.dumps(list(embeddings), 2))
    else:
        torch.save(reference_kit.weights(reference_kit.case("attngan", "golden_text_encoder")), folder / ENCODER)
        write(folder / "captions.pickle", [f"word{number}" for number in range(1, 5450)], [(1, 2, 3)])
    return loading.load_generator(folder / name)


def published_masks(padding: torch.Tensor, network) -> list[torch.Tensor]:
    """As the published code lays its masks out: in batches, words of other captions are left out."""
    count, length = padding.shape
    return [padding.repeat(side**2, 1).reshape(count, side**2, length) for side in network.sides[: network.attends]]


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("system", NETWORKS)
def test_they_answer_as_their_reference(system, tmp_path):
    case, _, given = case_of(system)
    generator = loaded(system, tmp_path)
    network = generator.network
    assert (generator.descriptor.height, generator.descriptor.latent_shape) == (256, (100,))
    none = torch.empty(0)
    for suffix in ("", ".batch1") if "z.batch1" in given else ("",):
        count = 1 if suffix else None
        z = given[f"z{suffix}" if f"z{suffix}" in given else "noise"][:count]
        sentence = given[next(name for name in ("sent_emb", "text_embedding") if name in given)][:count]
        noise, words = given.get(f"eps{suffix}", none)[:count], given.get(f"word_embs{suffix}", none)[:count]
        masks = published_masks(given[f"mask{suffix}"], network) if network.attends else ()
        drawn = network(z, sentence, noise, words, masks)
        names = [f"img{stage}" for stage in range(len(drawn.pictures))] if network.noise_dim else ["img"]
        outputs = {f"{name}{suffix}": picture for name, picture in zip(names, drawn.pictures, strict=True)}
        kind = "att" if network.attends else "mask"
        outputs |= {f"{kind}{stage}{suffix}": maps for stage, maps in enumerate(drawn.maps)}
        if network.noise_dim and not suffix:
            outputs["mu"], outputs["logvar"] = network.ca_net.distribution(sentence)
        print(system, reference_kit.compare(case, outputs))


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("system", ["attngan", "df_gan", "dm_gan"])
def test_the_text_encoder_answers_as_its_reference(system):
    case, tensors, given = case_of(system, "golden_text_encoder")
    with weights.empty_weights():
        encoder = encoder_of(tensors)
    weights.fill(encoder, tensors, "encoder")
    words, sentence = encoder(given["captions"], given["cap_lens"])
    print(reference_kit.compare(case, {"words_emb": words, "sent_emb": sentence}, atol=1e-5))


@pytest.mark.parametrize(("system", "file"), LAYOUTS)
def test_published_layouts_are_known_key_by_key(system, file):
    entries = reference_kit.manifest(system, file)
    tensors = {name.removeprefix("module."): torch.empty(shape, device="meta") for name, shape, _ in entries}
    make, sizes_of = NETWORKS[system]
    with torch.device("meta"):
        network = make(sizes_of(tensors))
    state = network.state_dict()
    assert {name: value.shape for name, value in state.items()} == {name: t.shape for name, t in tensors.items()}
    assert network.sides[-1] == 256
    claims = [family.name for family in (*families.FAMILIES, stackgan.FAMILY) if family.detect(Checkpoint(tensors, {}))]
    names = {"attngan": "AttnGAN", "df_gan": "DF-GAN", "dm_gan": "DM-GAN", "ssa_gan": "SSA-GAN"}
    assert claims == [names.get(system, "StackGAN++")]


@pytest.mark.slow
def test_counters_may_be_missing():
    """Files of PyTorch 0.3 have none."""
    _, tensors, _ = case_of("attngan")
    assert not any(name.endswith("num_batches_tracked") for name in tensors)
    with_them = {**tensors, "h_net1.fc.1.num_batches_tracked": torch.tensor(7)}
    for each in (tensors, with_them):
        assert network_of("attngan", each).z_dim == 100


def test_a_network_without_sentences_draws_from_z():
    """StackGAN++ of bedrooms, dogs and cats: z stands for the condition too."""
    size = stackgan.Sizes(6, 0, 6, 4, 2, 1)
    network = stackgan.StackGAN(size).eval()
    assert stackgan.sizes_of(network.state_dict()) == size
    z, none = torch.randn(2, 6), torch.empty(2, 0)
    with torch.no_grad():
        drawn = network(z, none, none, none, ())
        again = network.h_net2(network.h_net1(z), z)
    assert [picture.shape[2] for picture in drawn.pictures] == [64, 128]
    assert_close(drawn.pictures[1], network.img_net2(again).detach())


def test_places_look_at_their_own_words_alone():
    generator = torch.Generator().manual_seed(0)
    places, words = torch.randn(2, 4, 3, 3, generator=generator), torch.randn(2, 4, 5, generator=generator)
    mask = torch.tensor([[False] * 5, [False, False, True, True, True]])[:, None]
    seen, maps = attend(places, words, words, mask)
    assert_close(maps.sum(dim=1), torch.ones(2, 3, 3))
    assert not maps[1, 2:].any()
    alone, _ = attend(places[1:], words[1:, :, :2], words[1:, :, :2], torch.zeros(1, 1, 2, dtype=torch.bool))
    assert_close(seen[1], alone[0])
    swapped, _ = attend(places, words, words, mask.flip(0))
    assert not is_close(swapped, seen)
