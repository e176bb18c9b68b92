"""Whole pictures redrawn as the pipelines of diffusers redraw them."""

from itertools import pairwise

import pytest
import torch
from trilemma.models.diffusion import tiny as tiny_parts
from trilemma.models.errors import BadInput
from trilemma.models.inpainting.image_to_image import image_to_image
from trilemma.tests.closeness import is_close
from trilemma.tests.inpainting import tiny

pytestmark = pytest.mark.slow

SIZE = 32


def pictures(count: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, SIZE, SIZE, channels, generator=torch.Generator().manual_seed(3))


def redrawn(networks, images, prompt="red cat", batch_size=1, **settings) -> torch.Tensor:
    model, request = image_to_image(networks, images)
    return model.inpaint(request._replace(prompt=prompt, **settings), batch_size)


@pytest.mark.parametrize("xl", [False, True])
@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
def test_agrees_with_the_pipeline_of_diffusers(tmp_path, xl, strength):
    import diffusers

    base = tiny.pipeline(tmp_path, 4, "kl")
    parts = {name: getattr(base, name) for name in ("vae", "text_encoder", "tokenizer", "unet", "scheduler")}
    if xl:
        torch.manual_seed(1)
        parts |= {"unet": tiny_parts.xl_unet(), "text_encoder_2": tiny_parts.second_encoder()}
        made = diffusers.StableDiffusionXLImg2ImgPipeline(**parts, tokenizer_2=base.tokenizer, add_watermarker=False)
        networks = tiny.networks_of_xl(made)
    else:
        plain = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        made = diffusers.StableDiffusionImg2ImgPipeline(**parts, **plain)
        networks = tiny.networks_of(made)
    made.set_progress_bar_config(disable=True)
    images = pictures(2)
    expected = made(
        prompt=["red cat"] * 2,
        negative_prompt=["dog"] * 2,
        image=images.movedim(-1, 1),
        num_inference_steps=10,
        guidance_scale=4.0,
        strength=strength,
        generator=[torch.Generator().manual_seed(7 + index) for index in range(2)],
        output_type="pt",
    ).images.movedim(1, -1)
    settings = {"negative_prompt": "dog", "steps": 10, "guidance_scale": 4.0, "strength": strength, "seed": 7}
    found = redrawn(networks, images, batch_size=2, **settings)
    assert torch.allclose(found, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("channels", [4, 9])
def test_every_image_has_its_own_seed_whatever_the_batch(tmp_path, channels):
    networks = tiny.networks_of(tiny.pipeline(tmp_path, channels, "kl"))
    images = pictures(3, 4)
    one, three = (redrawn(networks, images, batch_size=size, steps=4, seed=5) for size in (1, 3))
    alone = redrawn(networks, images[2:], steps=4, seed=7)
    assert torch.allclose(one, three, atol=2e-5, rtol=0)
    assert torch.allclose(one[2:], alone, atol=2e-5, rtol=0)
    assert torch.equal(one[..., 3], images[..., 3])


def test_strength_and_prompts_matter(tmp_path):
    networks = tiny.networks_of(tiny.pipeline(tmp_path, 4, "kl"))
    images = pictures(1)
    found = [redrawn(networks, images, steps=10, strength=strength) for strength in (0.1, 0.5, 1.0)]
    assert not any(is_close(before, after) for before, after in pairwise(found))
    assert not is_close(found[1], redrawn(networks, images, "dog", steps=10, strength=0.5))


def test_a_strength_that_leaves_no_step_is_refused(tmp_path):
    """Where diffusers gives the autoencoder's round trip without a word."""
    networks = tiny.networks_of(tiny.pipeline(tmp_path, 4, "kl"))
    with pytest.raises(BadInput, match="leaves none to run"):
        redrawn(networks, pictures(1), steps=5, strength=0.1)
