"""GLIDE as an inpainter; its networks are held to their reference in tests/generators/diffusion/test_glide.py."""

import pytest
import torch
from trilemma.models.errors import BadInput, CannotDo, MissingFile
from trilemma.models.generators.diffusion.glide import files
from trilemma.models.generators.diffusion.glide.network import GlideNetwork
from trilemma.models.generators.diffusion.glide.stages import UPSAMPLING
from trilemma.models.inpainting.base import InpaintRequest
from trilemma.models.inpainting.loading import load_inpainter
from trilemma.models.random_weights import random_weights, write
from trilemma.models.steps import quiet
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def inpainter(tmp_path_factory):
    return load_inpainter(files.tiny(tmp_path_factory.mktemp("glide")))


def wanted(height=40, width=56, **settings):
    images = torch.rand(2, height, width, 3, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(2, height, width)
    masks[:, 8:24, 8:24] = 1
    return InpaintRequest(images, masks, "a cat", **{"steps": 3, "guidance_scale": 2.0, **settings})


@pytest.mark.parametrize(("height", "width"), [(32, 32), (40, 56), (7, 5)])
def test_every_size_is_filled(height, width, inpainter):
    request = wanted(height, width)
    if height == 7:
        request = request._replace(masks=torch.ones(1, 1, 1).expand(2, height, width).clone())
    found = inpainter.inpaint(request)
    outside = request.masks == 0
    assert torch.equal(found[outside], request.images[outside])
    assert (found[~outside] - request.images[~outside]).abs().max() > 0.1


def test_what_is_asked_counts(inpainter):
    usual = inpainter.inpaint(wanted())
    for settings in (
        {"seed": 1},
        {"guidance_scale": 1.0},
        {"negative_prompt": "a dog"},
        {"sampler": "DDIM"},
        {"strength": 0.5},
        {"steps": 4},
    ):
        assert (inpainter.inpaint(wanted(**settings)) - usual).abs().max() > 1e-3, settings
    assert (inpainter.inpaint(wanted()._replace(prompt="a dog")) - usual).abs().max() > 1e-3
    assert_close(inpainter.inpaint(wanted(), batch_size=2), usual)


def test_models_that_see_the_hole_see_it(inpainter):
    """And only it: what was there is not seen, but where it is resized together with what surrounds it."""
    request = wanted(32, 32)
    request.masks[:, :, 4:] = 1
    changed = request._replace(images=request.images.clone())
    changed.images[:, :, 16:] = 0.5
    assert_close(inpainter.inpaint(changed), inpainter.inpaint(request))
    surroundings = request._replace(images=1 - request.images)
    hole = request.masks > 0
    assert (inpainter.inpaint(surroundings)[hole] - inpainter.inpaint(request)[hole]).abs().max() > 1e-3


def test_models_that_see_no_hole_inpaint_too(tmp_path):
    path = files.tiny(tmp_path)
    for file, inputs in ((path, 3), (files.upsampler_of(path), 6)):
        write(file, random_weights(GlideNetwork(files.TINY._replace(inputs=inputs), files.TINY_TEXT)))
    request = wanted(32, 32)
    found = load_inpainter(path).inpaint(request)
    outside = request.masks == 0
    assert torch.equal(found[outside], request.images[outside])
    assert (found - request.images).abs().max() > 0.1


def test_steps_are_of_both_stages(inpainter):
    assert inpainter.steps(wanted(steps=10)) == 10 + len(UPSAMPLING)
    assert inpainter.steps(wanted(steps=10, strength=0.5)) == 5 + len(UPSAMPLING)
    told = []
    inpainter.inpaint(wanted(), 2, lambda done, preview=None: told.append((done, preview)))
    assert told[-1][0] == 2 * (3 + len(UPSAMPLING))
    shapes = {tuple(preview.shape) for _, preview in told if preview is not None}
    assert shapes == {(6, 8, 3), (23, 32, 3)}


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"sampler": "Euler"}, CannotDo, "scheduler: GLIDE"),
        ({"steps": 1001}, BadInput, "steps: 1001"),
        ({"strength": 0.01}, BadInput, "strength"),
    ],
)
def test_what_it_cannot_is_told(settings, error, said, inpainter):
    with pytest.raises(error, match=said):
        inpainter.inpaint(wanted(**settings), 1, quiet)


def test_the_upsampler_is_asked_for(tmp_path):
    path = files.tiny(tmp_path)
    files.upsampler_of(path).unlink()
    with pytest.raises(MissingFile, match=r"upsample_inpaint\.pt"):
        load_inpainter(path)


def test_long_prompts_are_told(inpainter):
    assert "first 6 of 7" in inpainter.remark("one two three four five six seven")
