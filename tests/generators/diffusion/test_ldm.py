"""Single files of latent diffusion: against their reference, in published layouts, from whole files."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import binding, loading
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.diffusion.adm.layouts import sizes_of
from trilemma.models.generators.diffusion.ldm import files, generator
from trilemma.models.generators.diffusion.ldm.network import LdmUNet, TextEncoder, text_sizes
from trilemma.models.generators.vae import autoencoder_kl
from trilemma.models.inpainting.loading import INPAINTERS
from trilemma.models.weights import empty_weights, under
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

SYSTEM = "latent_diffusion_txt2img"


def case(name):
    """A row, its weights, and its inputs."""
    row = reference_kit.case(SYSTEM, name)
    inputs = {key: torch.from_numpy(np.asarray(value)) for key, value in reference_kit.inputs(row).items()}
    return row, reference_kit.weights(row), inputs


@torch.no_grad()
def test_parity():
    """Of the U-Net, the encoder of texts, and the autoencoder, each in its layout."""
    row, tensors, inputs = case("golden_small_unet")
    unet = LdmUNet(sizes_of(tensors, "x")._replace(heads=4), 96)
    unet.load_state_dict(tensors)
    print(reference_kit.compare(row, {"eps": unet(inputs["x"], inputs["t"], None, inputs["context"])}))
    row, tensors, inputs = case("golden_small_text")
    encoder = TextEncoder(text_sizes(tensors))
    encoder.load_state_dict({name: value for name, value in tensors.items() if not name.startswith(files.UNUSED)})
    print(reference_kit.compare(row, {"emb": encoder(inputs["ids"])}))
    row, tensors, inputs = case("golden_small_kl")
    vae = autoencoder_kl.build(tensors, {}, "the kit's")
    answers = {
        "moments": vae.encode(inputs["img"]).latent_dist.parameters,
        "decoded": vae.decode(inputs["z"]).sample,
    }
    print(reference_kit.compare(row, answers))


def test_every_tensor_of_the_published_file_is_known():
    entries = reference_kit.manifest(SYSTEM, "manifest.json")
    tensors = {entry.name: torch.empty(entry.shape, device="meta") for entry in entries}
    assert files.kind_of(tensors) == "text"
    unet = under(tensors, "model.diffusion_model.")
    encoder = under(tensors, "cond_stage_model.transformer.")
    sizes = sizes_of(unet, "x")
    assert files._heads(sizes, True, {}, "the kit's") == {"heads": 8, "head_channels": 0}
    with empty_weights():
        networks = (LdmUNet(sizes._replace(heads=8), 1280), TextEncoder(text_sizes(encoder)))
    for network, own in zip(networks, (unet, encoder), strict=True):
        wanted = {name: value.shape for name, value in own.items() if not name.startswith(files.UNUSED)}
        assert {name: value.shape for name, value in network.state_dict().items()} == wanted
    families = [family.name for family in loading.GENERATORS.families if family.detect(Checkpoint(tensors, {}))]
    assert families == ["LDM text-to-image"]
    assert not [family.name for family in INPAINTERS.families if family.detect(Checkpoint(tensors, {}))]


@pytest.fixture(params=["text", "class", "none"])
def tiny(request, tmp_path):
    return request.param, generator.tiny(request.param, tmp_path)


def rewritten(path, **changes):
    """The file with other tensors, or without those that are None; as a training's checkpoint."""
    tensors = {**load_file(path), **changes}
    made = path.with_suffix(".ckpt")
    torch.save({"state_dict": {name: value for name, value in tensors.items() if value is not None}}, made)
    return made


def pictures(made, *conditions, **options):
    bound = Bound(made, {"steps": 3, **options}, tuple(Condition(*each) for each in conditions) or (Condition(),))
    return torch.cat([batch.images for batch in binding.sample(bound, 2, 7, 1)])


def test_the_averaged_network_draws(tiny):
    """Its names are written without dots; where a file has none, the last weights are all there is."""
    _, path = tiny
    own = load_file(path)
    unet = {name: value for name, value in own.items() if name.startswith("model.")}
    averaged = {f"model_ema.{name.removeprefix('model.').replace('.', '')}": value for name, value in unet.items()}
    spoilt = {name: value + 1 for name, value in unet.items()}
    counters = {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(3)}
    found = loading.load_generator(rewritten(path, **averaged, **spoilt, **counters))
    assert found.identity == loading.load_generator(path).identity


def test_schedule_and_scale_are_the_file_s(tiny):
    kind, path = tiny
    betas = torch.linspace(0.001, 0.02, 500)
    found = loading.load_generator(rewritten(path, betas=betas, scale_factor=torch.tensor(0.25)))
    assert found.ldm.vae.config.scaling_factor == 0.25
    schedule = found._schedule({**found.descriptor.options, "steps": 50})
    assert len(schedule.scheduler.alphas_cumprod) == 500
    assert_close(schedule.scheduler.betas, betas)
    usual = loading.load_generator(path)
    assert usual.ldm.vae.config.scaling_factor == 0.5
    first, last = files.BETAS[kind]
    found = usual._schedule(usual.descriptor.options).scheduler.betas[[0, -1]]
    assert_close(found, torch.tensor([first, last]))


def test_steps_are_spaced_as_the_original_code_s(tiny):
    """Of 50: 981, 961, ..., 1, and to the first alpha of the training."""
    found = loading.load_generator(tiny[1])
    schedule = found._schedule({**found.descriptor.options, "steps": 50})
    assert schedule.times.tolist() == [*range(981, 0, -20)]
    assert float(schedule.scheduler.final_alpha_cumprod) == float(schedule.scheduler.alphas_cumprod[0])


def test_scale_of_the_published_files(tiny):
    """A codebook's latents are not scaled; a KL autoencoder's are, as the file or the published configuration says."""
    kind, path = tiny
    (path.parent / "config.json").write_text(json.dumps({"num_heads": 2, "image_size": 8}))
    if kind == "class":
        with pytest.raises(BadCheckpoint, match="scale_factor"):
            loading.load_generator(path)
    else:
        found = loading.load_generator(path)
        assert found.ldm.vae.config.scaling_factor == {"text": 0.18215, "none": 1.0}[kind]


def test_conditions_count(tiny):
    kind, path = tiny
    found = loading.load_generator(path)
    if kind == "text":
        one = pictures(found, ("a cat",))
        assert (pictures(found, ("a dog",)) - one).abs().max() > 1e-4
        assert (pictures(found, ("a cat", "a dog")) - one).abs().max() > 1e-4
        assert (pictures(found, ("a cat",), guidance_scale=1.0) - one).abs().max() > 1e-4
        assert not found.remark(Condition("a cat"))
        assert "first 6 of 9" in found.remark(Condition("one two three four five six seven"))
    elif kind == "class":
        assert (pictures(found, ("0",)) - pictures(found, ("1",))).abs().max() > 1e-4
        assert found.descriptor.num_classes == 5
        assert "guidance_scale" not in found.descriptor.options
    else:
        assert (pictures(found)[0] - pictures(found)[1]).abs().max() > 0.01


def test_the_last_of_1001_classes_is_none(tmp_path):
    path = generator.tiny("class", tmp_path)
    embeddings = torch.randn(1001, generator.TINY_CONTEXT, generator=torch.Generator().manual_seed(0))
    found = loading.load_generator(rewritten(path, **{"cond_stage_model.embedding.weight": embeddings}))
    assert found.descriptor.num_classes == 1000
    assert found.descriptor.class_names[207] == "golden retriever"
    assert (pictures(found, ("207",)) - pictures(found, ("207",), guidance_scale=1.0)).abs().max() > 1e-4
    guided = found._seen(torch.tensor([3]), True)
    assert torch.equal(guided[:, 0], embeddings[[1000, 3]])


def test_pieces_are_bert_s(tmp_path):
    found = loading.load_generator(generator.tiny("text", tmp_path))
    assert found._pieces("A cat").tolist() == [[101, 1037, 4937, 102, 0, 0]]
    assert found._pieces("a cat on a mat in the hat").tolist() == [[101, 1037, 4937, 2006, 1037, 102]]
    assert found._pieces("").tolist() == [[101, 102, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"image_size": 8, "scale_factor": 0.5}, "num_heads"),
        ({"num_heads": 3, "image_size": 8, "scale_factor": 0.5}, "num_heads"),
        ({"num_heads": 2, "image_size": 8, "scale_factor": "one"}, "scale_factor"),
    ],
)
def test_what_shapes_do_not_tell_is_asked(told, said, tiny):
    _, path = tiny
    (path.parent / "config.json").write_text(json.dumps(told))
    with pytest.raises(BadCheckpoint, match=said):
        loading.load_generator(path)


def test_parts_that_do_not_fit_are_refused(tiny):
    """Such as of models that see a picture beside the latents."""
    _, path = tiny
    name = "model.diffusion_model.input_blocks.0.0.weight"
    more = torch.zeros(32, 7, 3, 3)
    with pytest.raises(BadCheckpoint, match="takes 7 channels"):
        loading.load_generator(rewritten(path, **{name: more}))
    with pytest.raises(BadCheckpoint, match="unexpected"):
        loading.load_generator(rewritten(path, **{"another_model.weight": torch.zeros(2, 2)}))


@pytest.mark.parametrize(
    ("width", "sees", "heads"),
    [
        (320, True, {"heads": 8, "head_channels": 0}),
        (256, True, {"heads": 8, "head_channels": 0}),
        (192, True, {"heads": 1, "head_channels": 0}),
        (224, False, {"heads": 0, "head_channels": 32}),
        (192, False, {"heads": 8, "head_channels": 0}),
    ],
)
def test_heads_of_the_published_files(width, sees, heads):
    sizes = generator.TINY._replace(channels=width, widths=(width, 2 * width))
    assert files._heads(sizes, sees, {}, "x") == heads
