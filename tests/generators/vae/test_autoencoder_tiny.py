from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from trilemma.models.errors import BadCheckpoint
from trilemma.models.generators import loading
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.vae import autoencoders

if TYPE_CHECKING:
    from diffusers import AutoencoderTiny

pytestmark = pytest.mark.slow


def build(**changes) -> AutoencoderTiny:
    from diffusers import AutoencoderTiny

    sizes = {
        "encoder_block_out_channels": (8,) * 3,
        "decoder_block_out_channels": (12,) * 3,
        "num_encoder_blocks": (1, 1, 2),
        "num_decoder_blocks": (2, 2, 1),
        "latent_channels": 5,
    }
    network = AutoencoderTiny(**{**sizes, **changes})
    network.load_state_dict(autoencoders.random_weights(network))
    return network.eval()


@pytest.fixture
def tiny(tmp_path):
    return autoencoders.of_side(autoencoders.load(build().state_dict(), tmp_path), 16)


def test_parity_with_the_published_layout(tmp_path):
    row = reference_kit.case("taesd", "golden_taesd_sd_f8c4")
    generator = autoencoders.load(reference_kit.weights(row), tmp_path)
    assert (generator.descriptor.architecture, generator.descriptor.size_multiple) == ("AutoencoderTiny", 8)
    inputs = {name: torch.from_numpy(value) for name, value in reference_kit.inputs(row).items()}
    latents = generator.encode(inputs["img"].permute(0, 2, 3, 1))
    decoded = generator.modules[0].pictures(inputs["z"])
    reference_kit.compare(row, {"latent": latents.values, "decoded": decoded})


@pytest.mark.parametrize("changes", [{}, {"num_encoder_blocks": (1, 3, 1), "num_decoder_blocks": (1, 2, 3)}])
def test_hyperparameters_come_from_the_shapes(changes, tmp_path):
    network = build(**changes)
    generator = autoencoders.load(network.state_dict(), tmp_path)
    ours = generator.modules[0].network.config
    for name in ("encoder_block_out_channels", "num_encoder_blocks", "num_decoder_blocks", "latent_channels"):
        assert ours[name] == network.config[name]
    images = autoencoders.pictures(2, 12)
    with torch.no_grad():
        expected = network.encode(2 * images.permute(0, 3, 1, 2) - 1).latents
    latents = generator.encode(images)
    assert_close(latents.values, expected)
    assert generator.decode(latents, [], {}).shape == images.shape


def test_halves_of_different_depth_are_refused(tmp_path):
    shallow = {"encoder_block_out_channels": (8, 8), "num_encoder_blocks": (1, 1)}
    encoder = {
        name: value
        for name, value in build(**shallow, decoder_block_out_channels=(8, 8), num_decoder_blocks=(1, 1))
        .state_dict()
        .items()
        if name.startswith("encoder.")
    }
    decoder = {name: value for name, value in build().state_dict().items() if name.startswith("decoder.")}
    torch.save({**encoder, **decoder}, tmp_path / "odd.pt")
    with pytest.raises(BadCheckpoint, match="its encoder has 2 levels and its decoder 3"):
        loading.load_generator(tmp_path / "odd.pt")
