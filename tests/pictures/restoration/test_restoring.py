"""Of an edited picture only what was meant to change is left, and its border does not show."""

import pytest
import torch
import torch.nn.functional as F
from trilemma.models.errors import BadInput
from trilemma.models.pictures import example_scenes
from trilemma.models.pictures.restoration.placement import Placement, sample
from trilemma.models.pictures.restoration.restoring import Restored, Settings, restore
from trilemma.models.pictures.seam import seam_score
from trilemma.tests.pictures.restoration.drifts import Drift, drift

pytestmark = pytest.mark.slow


def batch(picture: torch.Tensor) -> torch.Tensor:
    return picture.movedim(0, -1)[None]


def around(changed: torch.Tensor, pixels: int = 3) -> torch.Tensor:
    """A mask [1, H, W] as a hand draws it: a little larger than the change."""
    return F.max_pool2d(changed[None].float(), 2 * pixels + 1, 1, pixels)


def plain_seam(given: Drift, mask: torch.Tensor) -> float:
    """Of the edit as it is, pasted into the mask [H, W]."""
    edited = sample(given.edited, *mask.shape)
    pasted = torch.where(mask > 0, edited, given.original)
    return seam_score(batch(given.original)[0], batch(pasted)[0], (mask > 0).float())


def kept(done: Restored, original: torch.Tensor) -> bool:
    outside = done.masks == 0
    return torch.equal(done.images[outside], original[outside])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("given_mask", [True, False])
def test_the_seam_is_at_most_half_as_visible_as_that_of_a_plain_paste(seed, given_mask):
    """A few of the hundred drifts that `make bench` draws."""
    given = drift(seed, 128, 160)
    mask = around(given.changed) if given_mask else None
    done = restore(batch(given.original), batch(given.edited), mask)
    assert kept(done, batch(given.original))
    assert done.seams[0] <= plain_seam(given, done.masks[0]) / 2
    if mask is not None:
        assert torch.equal(done.masks > 0, mask > 0)


@pytest.mark.parametrize("seed", range(4))
def test_what_changed_is_found(seed):
    given = drift(seed, 128, 160)
    done = restore(batch(given.original), batch(given.edited), settings=Settings(grow=0, soften=0))
    found = done.masks[0] > 0
    inside = F.max_pool2d(-given.changed[None].float(), 5, 1, 2)[0] == -1
    assert found[inside].float().mean() > 0.99
    assert found[around(given.changed, 6)[0] == 0].float().mean() < 0.03


def test_what_changed_has_the_originals_colours():
    """The object that the editor drew is undone by the drift that it was given with the rest."""
    given = drift(2, 192, 240)
    drawn = torch.where(given.changed, torch.tensor([0.8, 0.3, 0.2])[:, None, None], given.original)
    drifted = sample(drawn, 192, 240, Placement(-3.3, 1.6)) * 0.9 + 0.07
    done = restore(batch(given.original), batch(drifted.clamp(0, 1)), around(given.changed))
    middle = F.max_pool2d(-given.changed[None].float(), 15, 1, 7)[0] == -1
    assert (done.images[0][middle] - torch.tensor([0.8, 0.3, 0.2])).abs().max() < 0.03
    left = restore(
        batch(given.original), batch(drifted), around(given.changed), Settings(match_colours=False, blend="plain")
    )
    assert (left.images[0][middle] - torch.tensor([0.79, 0.34, 0.25])).abs().max() < 0.03


@pytest.mark.parametrize("drifted", [True, False])
def test_an_edit_that_changes_nothing_gives_the_original_back(drifted):
    given = drift(7, 128, 160)
    scene = given.original
    edited = sample(scene, 128, 160, Placement(2.4, -5.1, 1.01, 1.01)) * 0.93 + 0.03 if drifted else scene
    done = restore(batch(scene), batch(edited))
    assert torch.equal(done.images, batch(scene))
    assert not bool(done.masks.any())
    assert done.seams == (0.0,)
    assert "changes nothing" in done.findings[0]


def test_an_edit_that_changes_everything_says_so():
    scene, other = (sample(example_scenes.scene(name)[0].movedim(-1, 0), 128, 160) for name in ("picnic", "night"))
    for edited in (other, torch.rand(3, 96, 96)):
        done = restore(batch(scene), batch(edited))
        assert done.images.shape == (1, 128, 160, 3)
        assert bool((done.masks == 1).all())
        assert "the edit changes" in done.findings[0] and "connect a mask" in done.findings[0]
    masked = restore(batch(scene), batch(other), torch.ones(1, 128, 160))
    assert bool((masked.masks == 1).all())


def test_alpha_stays_as_it_was():
    given = drift(3, 96, 128)
    alpha = torch.rand(1, 96, 128, 1)
    done = restore(torch.cat([batch(given.original), alpha], dim=-1), batch(given.edited), around(given.changed))
    assert done.images.shape[-1] == 4
    assert torch.equal(done.images[..., 3:], alpha)
    assert done.changes.shape[-1] == done.aligned.shape[-1] == 3
    with_alpha = torch.cat([batch(given.edited), alpha], dim=-1)
    again = restore(batch(given.original), with_alpha, around(given.changed))
    assert torch.equal(again.images, done.images[..., :3])


def test_batches():
    pairs = [drift(seed, 48, 64) for seed in range(3)]
    originals, edits = (torch.cat([batch(pair[which]) for pair in pairs]) for which in (0, 1))
    masks = torch.cat([around(pair.changed) for pair in pairs])
    together = restore(originals, edits, masks)
    assert torch.equal(together.images[1], restore(originals[1:2], edits[1:2], masks[1:2]).images[0])
    one = restore(originals[:1], edits, masks)
    assert len(one.images) == len(one.findings) == 3
    assert kept(one, originals[:1].expand(3, -1, -1, -1))
    assert len(restore(originals, edits[:1], masks[:1]).images) == 3
    with pytest.raises(BadInput, match="edited: 3 edited pictures for 2 originals"):
        restore(originals[:2], edits)
    with pytest.raises(BadInput, match="mask: 2 masks for 3 images"):
        restore(originals, edits, masks[:2])


@pytest.mark.parametrize("size", [(128, 128), (48, 64)])
def test_an_edit_of_another_size_and_a_mask_drawn_on_it(size):
    given = drift(5, 96, 128, size)
    done = restore(batch(given.original), batch(given.edited), around(given.changed))
    assert done.images.shape == (1, 96, 128, 3)
    assert kept(done, batch(given.original))
    on_edit = F.interpolate(around(given.changed)[None], size=size)[0]
    drawn = restore(batch(given.original), batch(given.edited), on_edit)
    assert kept(drawn, batch(given.original))
    # Drawn on the edit it is moved back with it.
    there = sample(on_edit, 96, 128, given.place)[0] > 0.5
    assert ((drawn.masks[0] > 0.5) == there).float().mean() > 0.98


def test_a_soft_mask_fades_and_dust_is_none():
    given = drift(1, 96, 128)
    mask = around(given.changed) * 0.5 + 1 / 255
    done = restore(batch(given.original), batch(given.edited), mask)
    assert kept(done, batch(given.original))
    assert torch.equal(done.masks > 0, mask > 0.1)
    assert done.masks.max() < 0.51
    empty = restore(batch(given.original), batch(given.edited), torch.zeros(1, 64, 64))
    assert torch.equal(empty.images, batch(given.original))
    assert "the mask is empty" in empty.findings[0]


def test_a_mask_with_another_shape_is_refused():
    given = drift(1, 96, 128)
    with pytest.raises(BadInput, match="aspect ratio"):
        restore(batch(given.original), batch(given.edited), torch.ones(1, 50, 50))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3), (33, 17)])
def test_small_pictures(size):
    image, mask = torch.rand(2, *size, 3), torch.ones(1, *size)
    assert restore(image, image.flip(0)).images.shape == image.shape
    assert torch.equal(restore(image, image).images, image)
    assert torch.allclose(restore(image, image, mask).images, image, atol=1e-6)


def test_the_picture_of_what_changed_is_grey_elsewhere():
    given = drift(4, 96, 128)
    done = restore(batch(given.original), batch(given.edited), around(given.changed))
    outside = done.changes[done.masks == 0]
    assert torch.equal(outside[:, 0], outside[:, 1]) and torch.equal(outside[:, 1], outside[:, 2])
    assert torch.equal(done.changes[done.masks == 1], done.images[done.masks == 1])
