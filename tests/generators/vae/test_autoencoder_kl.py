from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import torch
from trilemma.models.errors import BadCheckpoint, CannotDo
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import loading
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.vae import autoencoder_kl
from trilemma.models.generators.vae.prior_fitting import fit_prior
from trilemma.models.generators.vae.priors import GAUSSIAN
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.vae import autoencoders

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

pytestmark = pytest.mark.slow

WIDTHS = (8, 16, 16)
METADATA = {"trilemma": json.dumps({"norm_num_groups": 4})}
TO_ORIGINAL = (
    ("conv_norm_out", "norm_out"),
    ("conv_shortcut", "nin_shortcut"),
    ("mid_block.resnets.0", "mid.block_1"),
    ("mid_block.resnets.1", "mid.block_2"),
    ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
    ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
    ("mid_block.attentions.0.to_", "mid.attn_1."),
    (".group_norm.", ".norm."),
    (".to_out.0.", ".proj_out."),
    (".attentions.", ".attn."),
    (".to_", "."),
    (".downsamplers.0.", ".downsample."),
    (".upsamplers.0.", ".upsample."),
    (".resnets.", ".block."),
    ("down_blocks.", "down."),
)


def build(widths=WIDTHS, **changes) -> AutoencoderKL:
    from diffusers import AutoencoderKL

    levels = len(widths)
    blocks = {
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
    }
    network = AutoencoderKL(block_out_channels=widths, norm_num_groups=4, latent_channels=3, **{**blocks, **changes})
    network.load_state_dict(autoencoders.random_weights(network))
    return network.eval()


def original(tensors: dict[str, torch.Tensor], levels: int) -> dict[str, torch.Tensor]:
    """As the training code names it: the decoder's levels from the pixels on, attention as convolutions."""
    renamed = {}
    for name, value in tensors.items():
        for diffusers_name, original_name in TO_ORIGINAL:
            name = name.replace(diffusers_name, original_name)
        name = re.sub(r"up_blocks\.(\d)", lambda match: f"up.{levels - 1 - int(match[1])}", name)
        attention = re.search(r"attn(_1|\.\d)\.(q|k|v|proj_out)\.weight", name)
        renamed[name] = value[..., None, None] if attention else value
    return renamed


@pytest.fixture(scope="module")
def network():
    return build()


@pytest.fixture
def tiny(network, tmp_path):
    return autoencoders.of_side(autoencoders.load(network.state_dict(), tmp_path, METADATA), 16)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"layers_per_block": 2},
        {"mid_block_add_attention": False},
        {"use_quant_conv": False, "use_post_quant_conv": False},
        {"widths": (4, 8)},
    ],
)
def test_hyperparameters_come_from_the_shapes(changes, tmp_path):
    network = build(**changes)
    generator = autoencoders.load(network.state_dict(), tmp_path, METADATA)
    ours = generator.modules[0].network
    found = {name: getattr(ours.config, name) for name in ("block_out_channels", "layers_per_block", "latent_channels")}
    assert found == {name: getattr(network.config, name) for name in found}
    scale = generator.descriptor.size_multiple
    assert scale == 2 ** (len(network.config.block_out_channels) - 1)
    images = autoencoders.pictures(2, 16)
    with torch.no_grad():
        expected = network.encode(2 * images.permute(0, 3, 1, 2) - 1).latent_dist.mean
        decoded = (network.decode(expected).sample.permute(0, 2, 3, 1) + 1) / 2
    latents = generator.encode(images)
    assert_close(latents.values, expected)
    assert_close(generator.decode(latents, [], generator.descriptor.options), decoded.clamp(0, 1))


@pytest.mark.parametrize("prefix", ["", "first_stage_model."])
@pytest.mark.parametrize("widths", [WIDTHS, (4, 8, 8, 8)])
def test_the_original_layout(widths, prefix, tmp_path):
    network = build(widths)
    theirs = {prefix + name: value for name, value in original(network.state_dict(), len(widths)).items()}
    training = {f"{prefix}loss.logvar": torch.zeros(()), f"{prefix}loss.discriminator.main.0.weight": torch.zeros(1)}
    generator = autoencoders.load({**theirs, **training}, tmp_path, METADATA)
    images = autoencoders.pictures(1, 16)
    with torch.no_grad():
        expected = network.encode(2 * images.permute(0, 3, 1, 2) - 1).latent_dist.mean
    assert_close(generator.encode(images).values, expected)


@pytest.mark.parametrize("attended", [(4,), (3, 4)])
def test_the_levels_of_attention_are_those_of_the_file(attended, tmp_path):
    """Latent diffusion's kl-f16 (five levels, two blocks each) attends at its last, where a picture of 256 has 16."""
    widths, levels = (4, 4, 8, 8, 16), range(5)
    down, up = (
        tuple(f"Attn{kind}" if level in attended else kind for level in levels)
        for kind in ("DownEncoderBlock2D", "UpDecoderBlock2D")
    )
    network = build(widths, layers_per_block=2, down_block_types=down, up_block_types=up[::-1])
    theirs = original(network.state_dict(), len(widths))
    found = {re.sub(r"^(en|de)coder\.(.*attn\.\d)\..*", r"\2", name) for name in theirs if ".attn." in name}
    expected = {f"down.{level}.attn.{block}" for level in attended for block in range(2)}
    assert found == expected | {f"up.{level}.attn.{block}" for level in attended for block in range(3)}
    assert {"encoder.down.4.attn.0.norm.weight", "decoder.up.4.attn.2.proj_out.weight"} <= theirs.keys()
    generator = autoencoders.load(theirs, tmp_path, METADATA)
    config = generator.modules[0].network.config
    assert (config.down_block_types, config.up_block_types) == (down, up[::-1])
    assert generator.descriptor.size_multiple == 16
    images = autoencoders.pictures(2, 32)
    with torch.no_grad():
        expected = network.encode(2 * images.permute(0, 3, 1, 2) - 1).latent_dist.mean
        decoded = (network.decode(expected).sample.permute(0, 2, 3, 1) + 1) / 2
    latents = generator.encode(images)
    assert_close(latents.values, expected)
    assert_close(generator.decode(latents, [], generator.descriptor.options), decoded.clamp(0, 1))


def test_the_names_of_older_libraries(network, tmp_path):
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    pattern = re.compile(rf"(?<=attentions\.0\.)({'|'.join(map(re.escape, old))})")
    renamed = {pattern.sub(lambda match: old[match[1]], name): value for name, value in network.state_dict().items()}
    assert len(set(renamed) - set(network.state_dict())) == 16
    generator = autoencoders.load(renamed, tmp_path, METADATA)
    assert torch.equal(generator.modules[0].network.encoder.conv_in.weight, network.encoder.conv_in.weight)


def test_thirty_two_groups_where_metadata_is_silent(tmp_path):
    network = build((32, 32))
    generator = autoencoders.load(network.state_dict(), tmp_path)
    assert generator.modules[0].network.config.norm_num_groups == 32


def test_other_models_are_not_claimed(network):
    assert autoencoder_kl.detect(Checkpoint(network.state_dict(), {}))
    for name in ("quantize.embedding.weight", "model.diffusion_model.out.0.weight"):
        assert not autoencoder_kl.detect(Checkpoint({**network.state_dict(), name: torch.zeros(4, 3)}, {}))


def test_groups_that_nothing_tells(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "narrow.pt")
    with pytest.raises(BadCheckpoint, match=r"widths \(8, 16, 16\) do not divide into 32 groups"):
        loading.load_generator(tmp_path / "narrow.pt")


def test_it_has_no_prior_until_one_is_fitted(tiny):
    with pytest.raises(CannotDo, match="no prior over its latents to draw from; fit one with VAE Options"):
        next(sample(Bound(tiny), 1, 0, 1))
    with pytest.raises(CannotDo, match="no prior"):
        tiny.mean_latent()
    images = autoencoders.pictures(5, 24)
    prior = fit_prior(tiny, images, GAUSSIAN)
    (batch,) = sample(Bound(tiny).with_options("vae", {"prior": prior}), 2, 0, 2)
    assert batch.images.shape == (2, 24, 24, 3)


def test_ways_between_images_are_straight(tiny):
    latents = tiny.encode(autoencoders.pictures(2, 16))
    start, end = (latents._replace(values=latents.values[[index]]) for index in (0, 1))
    way = tiny.interpolate(start, end, (0.0, 0.5, 1.0)).values
    assert torch.equal(way[[0]], start.values)
    assert torch.equal(way[[2]], end.values)
    assert torch.allclose(way[[1]], (start.values + end.values) / 2, atol=1e-6)


def test_the_configuration_beside_a_file_is_read(tmp_path):
    """Of a part of a diffusers folder: its groups; an activation that is not built is refused."""
    made = build((8, 16), act_fn="silu")
    made.save_pretrained(tmp_path / "vae")
    for place in (tmp_path / "vae", tmp_path / "vae" / "diffusion_pytorch_model.safetensors"):
        found = loading.load_generator(place)
        pixels = torch.rand(1, 3, 16, 16)
        assert_close(found.modules[0].means(pixels), made.encode(2 * pixels - 1).latent_dist.mean)
        assert tmp_path / "vae" / "config.json" in found.files
    build((8, 16), act_fn="relu").save_pretrained(tmp_path / "vae")
    with pytest.raises(BadCheckpoint, match=r"AutoencoderKL: its config.json says act_fn = 'relu'"):
        loading.load_generator(tmp_path / "vae")
