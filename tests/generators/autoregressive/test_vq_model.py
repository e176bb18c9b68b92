from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.diffusion.networks import OLD_ATTENTION
from trilemma.models.errors import CannotDo
from trilemma.models.files import checkpoints
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import noise
from trilemma.models.generators.autoregressive import vq_model
from trilemma.models.generators.base import Condition
from trilemma.tests import peak_memory

if TYPE_CHECKING:
    from diffusers import VQModel

pytestmark = pytest.mark.slow

GROUPS = 4
PLAIN = {"block_out_channels": (8, 12), "layers_per_block": 1, "latent_channels": 5, "num_vq_embeddings": 9}
CONFIGS = [
    PLAIN,
    {**PLAIN, "mid_block_add_attention": False},
    {**PLAIN, "vq_embed_dim": 3, "layers_per_block": 2},
    {**PLAIN, "block_out_channels": (8, 8, 16)},
    {**PLAIN, "block_out_channels": (32, 32), "norm_type": "spatial"},
    {**PLAIN, "in_channels": 1, "out_channels": 1},
    {
        **PLAIN,
        "down_block_types": ("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
        "up_block_types": ("AttnUpDecoderBlock2D", "UpDecoderBlock2D"),
    },
]


def tiny(config: dict) -> VQModel:
    from diffusers import VQModel

    torch.manual_seed(0)
    levels = len(config["block_out_channels"])
    types = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
    }
    network = VQModel(**{**types, **config}, norm_num_groups=GROUPS).eval().requires_grad_(False)
    torch.nn.init.normal_(network.quantize.embedding.weight)
    return network


def saved(network: VQModel, path: Path, **renaming: str) -> Checkpoint:
    tensors = {}
    for name, value in network.state_dict().items():
        for new, old in renaming.items():
            name = name.replace(f".{new}.", f".{old}.")
        tensors[name] = value.contiguous()
    save_file(tensors, path, metadata={"trilemma": f'{{"norm_num_groups": {GROUPS}, "sample_size": 16}}'})
    return checkpoints.read(path)


@pytest.mark.parametrize("config", CONFIGS)
@torch.no_grad()
def test_loads_what_was_saved(tmp_path: Path, config: dict):
    network = tiny(config)
    checkpoint = saved(network, tmp_path / "tiny.safetensors")
    generator = vq_model.load(checkpoint)
    assert generator.descriptor.architecture == vq_model.NAME
    loaded = generator.modules[0].network
    for key, value in config.items():
        assert loaded.config[key] == value, key
    channels = network.config.in_channels
    scale = 2 ** (len(network.config.block_out_channels) - 1)
    images = torch.rand(2, 12, 20, 1).expand(-1, -1, -1, 3) if channels == 1 else torch.rand(2, 12, 20, 3)
    pixels = 2 * images.permute(0, 3, 1, 2)[:, :channels] - 1
    latents = generator.encode(images)
    assert torch.allclose(latents.values, network.encode(pixels).latents, atol=1e-6)
    assert generator.descriptor.latent_shape == (network.config.vq_embed_dim or 5, 16 // scale, 16 // scale)
    # The library decodes by way of its own quantiser.
    expected = (network.decode(latents.values).sample / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).expand_as(images)
    assert torch.allclose(generator.decode(latents, (), {}), expected, atol=1e-5)


def test_loads_old_names_of_attention(tmp_path: Path):
    network = tiny(PLAIN)
    old = {new.removesuffix(".0"): old for old, new in OLD_ATTENTION.items()}
    old["to_out.0"] = old.pop("to_out")
    checkpoint = saved(network, tmp_path / "old.safetensors", **old)
    assert "encoder.mid_block.attentions.0.query.weight" in checkpoint.tensors
    loaded = vq_model.load(checkpoint).modules[0].network
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_cannot_draw_without_a_prior(tmp_path: Path):
    generator = vq_model.load(saved(tiny(PLAIN), tmp_path / "tiny.safetensors"))
    with pytest.raises(CannotDo, match="VQModel has no prior over its latents"):
        generator.draw(noise.requests(1, 0, [Condition()]), generator.descriptor.options, lambda *_: None)


@torch.no_grad()
def test_a_way_between_latents_leads_through_real_codes(tmp_path: Path):
    generator = vq_model.load(saved(tiny(PLAIN), tmp_path / "tiny.safetensors"))
    coder = generator.modules[0]
    first, last = (generator.encode(torch.rand(1, 8, 8, 3)) for _ in range(2))
    way = generator.interpolate(first, last, [0.0, 0.5, 1.0])
    assert torch.allclose(way.values[1:2], (first.values + last.values) / 2, atol=1e-6)
    codes = coder.codes(way.values)
    expected = coder.restored(coder.book[codes].permute(0, 3, 1, 2)).clamp(0, 1).permute(0, 2, 3, 1)
    assert torch.allclose(generator.decode(way, (), {}), expected, atol=1e-6)


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize(
    "config",
    [
        {"block_out_channels": (24, 32, 64), "latent_channels": 32},
        {"block_out_channels": (8, 16), "num_vq_embeddings": 512},
    ],
)
@torch.no_grad()
def test_memory_is_foreseen(tmp_path: Path, count: int, config: dict):
    generator = vq_model.load(saved(tiny(config), tmp_path / "tiny.safetensors"))
    images = torch.rand(count, 16, 16, 3)

    def both() -> None:
        generator.decode(generator.encode(images), (), {})

    assert 0.7 < generator.memory_bytes(count) / peak_memory.peak_bytes(both) < 1.5
