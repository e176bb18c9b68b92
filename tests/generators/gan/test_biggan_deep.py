import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from trilemma.models import imagenet
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import binding, loading, noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.gan import biggan_deep
from trilemma.models.generators.gan.biggan_deep.network import AttentionSize, BigGANDeep
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.generators.gan import gans

SCIPY = {
    0: (0.11705679446458817, 0.5399904847145081, 0.24840021133422852, 0.10759365558624268),
    85: (0.2921048700809479, 0.021422535181045532, -0.50316321849823, 0.3766975998878479),
    12345: (1.3411766290664673, -0.4545110762119293, -0.8477069735527039, -0.7789558172225952),
}
"""The first of truncnorm.rvs(-2, 2, size=(1, 128), random_state=RandomState(seed)) as float32: by scipy 1.3.3 with
numpy 1.17.4, of the time of pytorch-pretrained-BigGAN, and by scipy 1.17.1 with numpy 2.4.6 the same, bit for bit."""


def weights_of(case) -> dict[str, torch.Tensor]:
    """The kit's weights, after what its post-fill says of norms of weights and of statistics."""
    made = reference_kit.weights(case)
    for name in [name for name in made if name.endswith("weight_orig")]:
        stem = name.removesuffix("orig")
        matrix, u = made[name].double().flatten(1), made[f"{stem}u"].double()
        v = matrix.T @ u
        v = v / v.norm()
        u = matrix @ v
        made[f"{stem}u"], made[f"{stem}v"] = (u / u.norm()).float(), v.float()
    for name, value in made.items():
        if value.ndim == 2 and name.endswith(("running_means", "running_vars")):
            # The fill rule's own numbers, before they are scaled by their fan-in.
            z = reference_kit.fill(name, tuple(value.shape), ["std", 1.0]).astype(np.float64)
            made[name] = torch.from_numpy(0.1 * z if name.endswith("means") else 1 + 0.1 * np.abs(z)).float()
    return made


@pytest.mark.slow
@torch.no_grad()
def test_it_answers_as_its_reference(tmp_path):
    """By the published names of weights and configuration, and without the configuration."""
    case = reference_kit.case("biggan_deep")
    torch.save(weights_of(case), tmp_path / "biggan-deep-128-pytorch_model.bin")
    generator = loading.load_generator(tmp_path / "biggan-deep-128-pytorch_model.bin")
    given = reference_kit.inputs(case)
    z, classes = torch.from_numpy(given["z"]).clamp(-2, 2), torch.from_numpy(given["class_ids"])
    outputs = {
        f"img_trunc{truncation}": generator.network(truncation * z, classes, truncation)
        for truncation in (0.4, 0.437, 1.0)
    }
    print(reference_kit.compare(case, outputs))


@pytest.mark.parametrize(
    ("file", "side"), [("manifest.json", 128), ("manifest_256.json", 256), ("manifest_512.json", 512)]
)
def test_published_layouts_are_known_key_by_key(file, side):
    entries = reference_kit.manifest("biggan_deep", file)
    tensors = {name: torch.empty(shape, device="meta") for name, shape, _ in entries}
    assert biggan_deep.detect(Checkpoint(tensors, {}))
    sizes = biggan_deep._sizes(tensors, {}, "x")
    with torch.device("meta"):
        expected = {name: tuple(shape) for name, shape in biggan_deep._published(BigGANDeep(sizes))}
    assert expected == {name: shape for name, shape, _ in entries}
    assert (sizes.side, sizes.classes, sizes.z_dim, sizes.statistics) == (side, 1000, 128, 51)
    assert [place for place, layer in enumerate(sizes.layers) if isinstance(layer, AttentionSize)] == [8]


@pytest.mark.parametrize("seed", SCIPY)
def test_z_is_that_of_the_published_seed(seed):
    (drawn,) = noise.truncated_normal([np.random.RandomState(seed)], (128,))
    assert drawn[:4].tolist() == pytest.approx(SCIPY[seed], abs=1e-6)
    assert drawn.abs().max() <= 2


def tiny(folder: Path):
    return loading.load_generator(biggan_deep.tiny(folder))


def test_the_first_of_a_seeded_batch_is_the_first_sample(tmp_path):
    generator = tiny(tmp_path)
    requests = noise.requests(2, 85, [Condition("1")])
    found = generator.latents(requests, Bound(generator).settings).values
    assert found[0].tolist() == pytest.approx([*SCIPY[85], *found[0, 4:].tolist()], abs=1e-6)
    torch_seeded = generator.latents(requests, {"truncation_psi": 1.0, "seeding": "torch"}).values
    assert not is_close(torch_seeded, found)


def test_samples_do_not_depend_on_the_batch(tmp_path):
    generator = tiny(tmp_path)
    gans.check_batches(generator)
    gans.check_batches(generator, {"truncation_psi": 0.437, "seeding": "torch"})
    gans.check_identity(generator)


def test_truncation_scales_z_and_chooses_the_statistics(tmp_path):
    """At rows of the tables those, between two of them the lower one by the upper one's share, as the reference."""
    generator = tiny(tmp_path)
    norm = generator.network.generator.bn
    table = norm.running_means
    assert torch.equal(norm._at(table, 1.0), table[5])
    assert_close(norm._at(table, 0.45), table[2] * 0.25 + table[3] * 0.75)
    requests = noise.requests(2, 3, [Condition("2")])
    settings = Bound(generator).settings
    latents = generator.latents(requests, settings)
    with torch.no_grad():
        half = generator.decode(latents, requests, {**settings, "truncation_psi": 0.5})
        expected = generator.network(0.5 * latents.values, torch.tensor([2, 2]), 0.5)
    assert_close(half, ((expected + 1) / 2).movedim(1, -1))
    for wrong in (0.0, 1.01):
        with pytest.raises(BadInput, match="more than 0, and at most 1"):
            generator.decode(latents, requests, {**settings, "truncation_psi": wrong})


def test_classes_count(tmp_path):
    generator = tiny(tmp_path)
    (drawn,) = binding.sample(Bound(generator, {}, (Condition("0"), Condition("2"))), 2, 3, 2)
    (other,) = binding.sample(Bound(generator, {}, (Condition("0"), Condition("1"))), 2, 3, 2)
    assert torch.equal(drawn.images[0], other.images[0])
    assert not is_close(drawn.images[1], other.images[1])


def test_a_configuration_of_its_name_is_read(tmp_path):
    """Which blocks double the side, and epsilon; one that does not fit is refused."""
    path = biggan_deep.tiny(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    weights_file = tmp_path / "biggan-deep-16-pytorch_model.safetensors"
    shutil.copy(path, weights_file)
    (tmp_path / "config.json").rename(tmp_path / "biggan-deep-16-config.json")
    assert biggan_deep.files(weights_file) == (weights_file, tmp_path / "biggan-deep-16-config.json")
    assert biggan_deep.files(path) == (path,)

    def told(**changed):
        (tmp_path / "biggan-deep-16-config.json").write_text(json.dumps({**config, **changed}))
        return loading.load_generator(weights_file)

    assert told().descriptor.height == 16
    bigger = told(layers=[[True, 16, 16]] * 4, output_dim=64, eps=0.1)
    assert (bigger.descriptor.height, bigger.network.generator.bn.epsilon) == (64, 0.1)
    for wrong in ({"layers": [[True, 16, 16]]}, {"output_dim": 8}, {"num_classes": 1000}, {"z_dim": 7}):
        with pytest.raises(BadCheckpoint, match="not belong together"):
            told(**wrong)
    with pytest.raises(BadCheckpoint, match="eps = 'small'"):
        told(eps="small")


def test_a_folder_as_its_library_keeps_it_is_read(tmp_path):
    """`pytorch_model.bin` and `config.json`, as `from_pretrained` takes them."""
    path = biggan_deep.tiny(tmp_path)
    alone = loading.load_generator(path)
    torch.save(load_file(path), tmp_path / "pytorch_model.bin")
    path.unlink()
    whole = loading.load_generator(tmp_path)
    assert whole.identity == alone.identity
    assert whole.files == (tmp_path / "pytorch_model.bin", tmp_path / "config.json")


@pytest.mark.slow
def test_classes_have_imagenets_names(tmp_path):
    pytest.importorskip("torchvision")
    names = imagenet.class_names()
    assert (len(names), names[0], names[207], names[652]) == (1000, "tench", "golden retriever", "military uniform")
    assert imagenet.names_of(1000) == names
    assert imagenet.names_of(3) == ()
