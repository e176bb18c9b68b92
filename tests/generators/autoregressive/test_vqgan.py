"""taming-transformers' VQGAN: against its reference, in every published layout."""

import pytest
import torch
from trilemma.models.diffusion.single_file import original_vae_name, vae_name
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import loading
from trilemma.models.generators.autoregressive import vq_model, vqgan
from trilemma.models.random_weights import random_weights, write
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

PUBLISHED = ("f16_1024", "f16_16384", "gumbel_f8")


def pixels(images: torch.Tensor) -> torch.Tensor:
    """IMAGE of a network's input -1..1."""
    return (images.permute(0, 2, 3, 1) + 1) / 2


@pytest.mark.parametrize("name", PUBLISHED)
@torch.no_grad()
def test_parity(name, tmp_path):
    row = reference_kit.case("taming_vqgan", f"golden_{name}")
    torch.save({"state_dict": reference_kit.weights(row), "global_step": 1}, tmp_path / "last.ckpt")
    generator = loading.load_generator(tmp_path / "last.ckpt")
    assert generator.descriptor.architecture == vqgan.NAME
    assert (generator.descriptor.height, generator.descriptor.width) == (256, 256)
    inputs = {key: torch.from_numpy(value) for key, value in reference_kit.inputs(row).items()}
    coder = generator.modules[0]
    latents = generator.encode(pixels(inputs["img"])).values
    codes = coder.codes(latents)
    quantised = coder.vectors(codes)
    answers = {
        "recon": 2 * coder.pictures(latents) - 1,
        "decode_code_ids": 2 * coder.restored(coder.vectors(inputs["code_ids"].reshape(codes.shape))) - 1,
    }
    if name == "gumbel_f8":
        answers |= {"logits": coder.scores(latents), "indices_argmax": codes, "quant_hard": quantised}
    else:
        answers |= {"pre_quant": latents, "indices": codes.flatten(), "quant": quantised}
    reference_kit.compare(row, answers)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_tensor_of_a_published_file_is_known(name):
    entries = reference_kit.manifest("taming_vqgan", f"manifest_{name}.json")
    tensors = {entry.name: torch.empty(entry.shape, device="meta") for entry in entries}
    assert vqgan.detect(Checkpoint(tensors, {}))
    first_stage = {f"first_stage_model.{key}": value for key, value in tensors.items()}
    assert vqgan.bare(first_stage) == vqgan.bare(tensors)
    levels = 4 if name == "gumbel_f8" else 5
    for key in vqgan.bare(tensors):
        assert original_vae_name(vae_name(key, levels), levels) == key
    renamed = {vae_name(key, levels): value for key, value in vqgan.bare(tensors).items()}
    renamed.setdefault(vqgan.BOOK, renamed.get(vqgan.GUMBEL_BOOK))
    sides = {"f16_1024": 1024, "f16_16384": 16384, "gumbel_f8": 8192}
    config = vq_model.configuration(renamed)
    assert config["num_vq_embeddings"] == sides[name]
    assert config["block_out_channels"] == ((128, 128, 256, 512) if levels == 4 else (128, 128, 256, 256, 512))
    assert config["down_block_types"] == ("DownEncoderBlock2D",) * (levels - 1) + ("AttnDownEncoderBlock2D",)


def test_the_same_numbers_as_diffusers_layout(tmp_path):
    """The same weights under both names."""
    from trilemma.models.random_weights import write_random

    network = vq_model.of_widths((32, 64), 1, codes=16)
    own = loading.load_generator(write(tmp_path / "own.safetensors", vqgan.original(random_weights(network), 2)))
    theirs = loading.load_generator(write_random(tmp_path, network))
    images = torch.rand(1, 16, 24, 3, generator=torch.Generator().manual_seed(0))
    assert_close(own.encode(images).values, theirs.encode(images).values)


def test_widths_that_the_norms_do_not_divide_are_refused(tmp_path):
    tensors = vqgan.original(random_weights(vq_model.of_widths((32, 32), 1, codes=16)), 2)
    narrow = {key: value[:8] if value.ndim == 1 and value.shape == (32,) else value for key, value in tensors.items()}
    narrow["encoder.down.0.block.0.conv1.weight"] = torch.zeros(8, 8, 3, 3)
    with pytest.raises(BadCheckpoint, match="groups"):
        vqgan.load(Checkpoint(narrow, {}))
