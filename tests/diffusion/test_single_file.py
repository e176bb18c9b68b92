"""Single files of Stable Diffusion 1.5 inpainting, at full size, with random weights."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from trilemma.models import weights
from trilemma.models.diffusion import networks, original_layout, single_file
from trilemma.models.diffusion.original_layout import Sizes
from trilemma.models.diffusion.stable_diffusion import StableDiffusion
from trilemma.models.errors import BadCheckpoint
from trilemma.models.inpainting.loading import load_inpainter
from trilemma.models.inpainting.stable_diffusion import StableDiffusionInpainter
from trilemma.tests.closeness import is_close
from trilemma.tests.diffusion import published_layout as layout
from trilemma.tests.inpainting.tiny import inpaint
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow


def marked(shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """One-element tensors that carry the position of their name, with as many dimensions as the real ones."""
    return {name: torch.full([1] * len(shape), index) for index, (name, shape) in enumerate(shapes.items())}


def test_layout_has_the_published_sizes():
    shapes = layout.weights(channels=9)
    parts = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.")
    counts = [sum(math.prod(shape) for name, shape in shapes.items() if name.startswith(part)) for part in parts]
    assert counts == [859_535_364, 83_653_863, 123_060_480]
    assert len(shapes) == 686 + 248 + 196


def test_names_agree_with_the_conversion_of_diffusers():
    from diffusers.loaders import single_file_utils

    tensors = marked(layout.weights())
    unet = single_file_utils.convert_ldm_unet_checkpoint(dict(tensors), {"layers_per_block": 2})
    vae = single_file_utils.convert_ldm_vae_checkpoint(
        dict(tensors), {"down_block_types": [0] * 4, "up_block_types": [0] * 4}
    )
    ours = single_file._split(tensors)
    assert {name: int(value) for name, value in ours.unet.items()} == {k: int(v) for k, v in unet.items()}
    assert {name: int(value) for name, value in ours.vae.items()} == {k: int(v) for k, v in vae.items()}


def test_averaged_weights_are_preferred():
    tensors = marked(layout.weights() | layout.averages() | layout.buffers())
    unet = single_file._split(single_file.own_tensors(tensors)).unet
    assert set(map(int, unet.values())) == {int(tensors[name]) for name in layout.averages()}


def test_an_incomplete_average_is_refused():
    shapes = smallest() | layout.averages()
    del shapes[next(iter(layout.averages()))]
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    with pytest.raises(BadCheckpoint, match=r"file: .*685 unexpected \(model_ema\.diffusion_model"):
        single_file.convert(tensors, "file")


def smallest(channels: int = 9) -> dict[str, tuple[int, ...]]:
    return original_layout.weights(original_layout.TINY._replace(channels=channels))


def test_a_file_loads_strictly_and_runs(tmp_path):
    path = tmp_path / "sd-v1-5-inpainting.safetensors"
    shapes = smallest()
    layout.write_random_half(path, shapes | layout.buffers())
    sampled = (
        "model.diffusion_model.input_blocks.4.0.in_layers.2.weight",
        "first_stage_model.decoder.up.1.upsample.conv.bias",
        "cond_stage_model.transformer.text_model.encoder.layers.1.mlp.fc2.bias",
    )
    with safe_open(path, framework="pt") as file:
        sample = [file.get_tensor(name).clone() for name in sampled]
    asked = []
    inpainter = load_inpainter(path, lambda parameters: asked.append(parameters) or torch.float16)
    assert asked == [sum(map(math.prod, shapes.values()))]
    path.unlink()
    parts = inpainter.networks
    unet, vae, text_encoder = (network.state_dict() for network in parts[:3])
    assert len(unet) + len(vae) + len(text_encoder) == len(shapes)
    loaded = (
        unet["down_blocks.1.resnets.0.conv1.weight"],
        vae["decoder.up_blocks.2.upsamplers.0.conv.bias"],
        next(value for name, value in text_encoder.items() if name.endswith("encoder.layers.1.mlp.fc2.bias")),
    )
    for expected, found in zip(sample, loaded, strict=True):
        assert torch.equal(found, expected)
    assert not any(value.is_meta for module in inpainter.modules for value in (*module.parameters(), *module.buffers()))
    assert inpainter.native_resolution == 512
    assert parts.tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]

    for network in inpainter.modules:
        network.float()  # a step in half precision takes minutes on a processor without instructions for it
    image, mask = torch.rand(1, 64, 64, 3), torch.zeros(1, 64, 64)
    mask[:, 16:48, 16:48] = 1
    painted = inpaint(inpainter, image, mask, "a cat", steps=1)
    assert bool(torch.isfinite(painted).all())
    assert torch.equal(painted[mask == 0], image[mask == 0])
    assert not is_close(painted, image)


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 512, 512), (4, 512, 512), (2, 512, 768)])
def test_memory_is_estimated_at_full_size(monkeypatch, batch, height, width):
    """Counted on the meta device, where attention has no fused kernel of its own; here it returns its output alone."""
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda query, *args, **options: torch.empty_like(query))
    parts = single_file.configurations(Sizes(9))
    built = networks.build(*(parts[part] for part in networks.Networks._fields))
    with torch.inference_mode(), torch.device("meta"):
        latents = torch.empty(2 * batch, 9, height // 8, width // 8)
        peak = max(
            peak_bytes(lambda: built.unet(latents, 1, encoder_hidden_states=torch.empty(2 * batch, 77, 768))),
            peak_bytes(lambda: built.vae.decode(latents[:1, :4])),
            peak_bytes(lambda: built.vae.encode(torch.empty(1, 3, height, width))),
        )
    inpainter = StableDiffusionInpainter(StableDiffusion(*built, None, {}))
    assert 0.7 <= inpainter.memory_bytes(batch, height, width) / peak <= 1.5


OTHER = Sizes(4, (64, 96, 96, 128), (32, 64, 64, 96), 128, 3)


@pytest.mark.parametrize("sizes", [original_layout.TINY, Sizes(4), Sizes(9), OTHER])
def test_sizes_are_read_from_shapes(sizes):
    """The networks that are built have exactly the tensors of the file, at the published size too."""
    tensors = {name: torch.empty(shape, device="meta") for name, shape in original_layout.weights(sizes).items()}
    assert single_file.read_sizes(tensors, "file") == sizes
    parts, given = single_file.convert(tensors, "file")
    built = networks.build(*(parts[part] for part in networks.Networks._fields))
    text = networks._text_names(built.text_encoder, given.text_encoder)
    for network, named in zip(built, (given.unet, given.vae, text), strict=True):
        weights.check_fit({name: value.shape for name, value in network.state_dict().items()}, named, "file")


def write(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path)
    return path


CONTROL = ("control_model.input_hint_block.0.weight", "control_model.zero_convs.0.0.weight")
FIRST = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"image_encoder.patch_embed.proj.weight": (1,), "mask_decoder.iou_token.weight": (1,)}, "Segment Anything"),
        (
            {FIRST: (1, 4), "conditioner.embedders.0.model.token_embedding.weight": (1,)},
            "a Stable Diffusion XL refiner",
        ),
        (
            smallest() | dict.fromkeys(CONTROL, (1,)),
            "holds a ControlNet; it belongs into models/controlnet",
        ),
        (smallest(channels=8), "8 input channels"),
        (
            smallest() | {"model.diffusion_model.out.0.weight": (31,)},
            r"1 of another shape .*out\.0\.weight \(31,\)",
        ),
        (smallest() | {"model.diffusion_model.extra": (1,)}, r"1 unexpected \(model\.diffusion_model\.extra\)"),
        (smallest() | {FIRST: (32,)}, r"input_blocks\.0\.0\.weight is of shape \(32,\)"),
        (
            smallest() | {"model.diffusion_model.input_blocks.1.0.out_layers.3.weight": (31, 31, 3, 3)},
            r"out_layers\.3\.weight is of shape \(31, 31, 3, 3\)",
        ),
        (
            {name: (1,) for name in original_layout.weights(Sizes(9)) if "first_stage" not in name},
            "a Stable Diffusion checkpoint without VAE or text encoder",
        ),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, shapes, words):
    with pytest.raises(BadCheckpoint, match=rf"file\.safetensors.*{words}"):
        load_inpainter(write(tmp_path / "file.safetensors", shapes))


def test_a_missing_tensor_is_named(tmp_path):
    shapes = smallest()
    del shapes["model.diffusion_model.input_blocks.4.0.out_layers.3.weight"]
    with pytest.raises(BadCheckpoint, match=r"file\.safetensors.* lacks '.*input_blocks\.4\.0\.out_layers\.3\.weight'"):
        load_inpainter(write(tmp_path / "file.safetensors", shapes))


def test_a_truncated_file_is_refused(tmp_path):
    path = write(tmp_path / "file.safetensors", smallest())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint, match="cut short"):
        load_inpainter(path)
