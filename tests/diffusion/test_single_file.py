"""Single files of Stable Diffusion 1.5 inpainting, at full size, with random weights."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from trilemma.models.diffusion import networks, single_file
from trilemma.models.diffusion.loading import load_inpainter
from trilemma.models.diffusion.memory import memory_bytes
from trilemma.models.errors import BadCheckpoint
from trilemma.models.inpainting.stable_diffusion import Inpainter, inpaint, native_resolution
from trilemma.tests.closeness import is_close
from trilemma.tests.diffusion import published_layout as layout
from trilemma.tests.peak_memory import peak_bytes


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
    ours = single_file._split(tensors, "file")
    assert {name: int(value) for name, value in ours.unet.items()} == {k: int(v) for k, v in unet.items()}
    assert {name: int(value) for name, value in ours.vae.items()} == {k: int(v) for k, v in vae.items()}


def test_averaged_weights_are_preferred():
    tensors = marked(layout.weights() | layout.averages() | layout.buffers())
    unet = single_file._split(tensors, "file").unet
    assert set(map(int, unet.values())) == {int(tensors[name]) for name in layout.averages()}


def test_an_incomplete_average_is_refused():
    tensors = marked(layout.weights() | layout.averages())
    del tensors[next(iter(layout.averages()))]
    with pytest.raises(BadCheckpoint, match="685 tensors belong to no part"):
        single_file._split(tensors, "file")


def test_full_size_file_loads_strictly_and_runs(tmp_path):
    path = tmp_path / "sd-v1-5-inpainting.safetensors"
    layout.write_random_half(path, layout.weights() | layout.buffers())
    sampled = (
        "model.diffusion_model.input_blocks.4.0.skip_connection.weight",
        "first_stage_model.decoder.up.1.upsample.conv.bias",
        "cond_stage_model.transformer.text_model.encoder.layers.11.mlp.fc2.bias",
    )
    with safe_open(path, framework="pt") as file:
        sample = [file.get_tensor(name).clone() for name in sampled]
    inpainter = load_inpainter(path, lambda params: torch.float16 if params == 1_066_249_707 else torch.float64)
    path.unlink()
    unet, vae, text_encoder = inpainter.unet.state_dict(), inpainter.vae.state_dict(), inpainter.text_encoder
    assert len(unet) + len(vae) + len(text_encoder.state_dict()) == len(layout.weights())
    loaded = (
        unet["down_blocks.1.resnets.0.conv_shortcut.weight"],
        vae["decoder.up_blocks.2.upsamplers.0.conv.bias"],
        dict(text_encoder.named_parameters())[
            next(name for name in text_encoder.state_dict() if name.endswith("encoder.layers.11.mlp.fc2.bias"))
        ],
    )
    for expected, found in zip(sample, loaded, strict=True):
        assert torch.equal(found, expected)
    assert not any(value.is_meta for module in inpainter[:3] for value in (*module.parameters(), *module.buffers()))
    assert native_resolution(inpainter) == 512
    assert inpainter.tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]

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
    parts = {part: single_file._configuration(part) for part in networks.Networks._fields}
    parts["unet"]["in_channels"] = 9
    built = networks.build(**parts)
    with torch.inference_mode(), torch.device("meta"):
        latents = torch.empty(2 * batch, 9, height // 8, width // 8)
        peak = max(
            peak_bytes(lambda: built.unet(latents, 1, encoder_hidden_states=torch.empty(2 * batch, 77, 768))),
            peak_bytes(lambda: built.vae.decode(latents[:1, :4])),
            peak_bytes(lambda: built.vae.encode(torch.empty(1, 3, height, width))),
        )
    assert 0.7 <= memory_bytes(Inpainter(*built, None, {}), batch, height, width) / peak <= 1.5


def write(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    """A file with these names, and the number of the U-Net's input channels; all else has one element."""
    first = "model.diffusion_model.input_blocks.0.0.weight"
    tensors = {name: torch.zeros([1] * len(shape)) for name, shape in shapes.items()}
    if first in shapes:
        tensors[first] = torch.zeros(1, shapes[first][1], 1, 1)
    save_file(tensors, path)
    return path


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"image_encoder.patch_embed.proj.weight": (1,), "mask_decoder.iou_token.weight": (1,)}, "Segment Anything"),
        (
            {
                "model.diffusion_model.input_blocks.0.0.weight": (1, 4),
                "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": (1,),
            },
            "Stable Diffusion XL",
        ),
        (
            {
                "model.diffusion_model.input_blocks.0.0.weight": (1, 9),
                "first_stage_model.encoder.conv_in.weight": (1,),
                "cond_stage_model.model.token_embedding.weight": (1,),
            },
            "Stable Diffusion 2.x",
        ),
        (layout.weights() | {"control_model.input_hint_block.0.weight": (1,)}, "belong to no part"),
        (layout.weights(channels=8), "8 input channels"),
        (layout.weights(), "U-Net: 686 tensors of another shape"),
        ({name: shape for name, shape in layout.weights().items() if "first_stage" not in name}, "without VAE"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, shapes, words):
    with pytest.raises(BadCheckpoint, match=words):
        load_inpainter(write(tmp_path / "file.safetensors", shapes), lambda params: torch.float32)


def test_a_truncated_file_is_refused(tmp_path):
    path = write(tmp_path / "file.safetensors", layout.weights())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadCheckpoint, match="cut short"):
        load_inpainter(path, lambda params: torch.float32)
