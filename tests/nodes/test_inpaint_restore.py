"""The node Restore Unedited."""

import pytest
import torch
from torch.nn.functional import max_pool2d
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.pictures.restoration.drifts import drift

pytestmark = pytest.mark.slow

Restore = NODE_CLASS_MAPPINGS["TrilemmaRestoreUnedited"]


@torch.inference_mode()
def test_what_it_gives():
    given = drift(0, 64, 80)
    original, edited = (picture.movedim(0, -1)[None] for picture in (given.original, given.edited))
    # With room around what changed: along an object's own outline the picture is meant to step.
    room = max_pool2d(given.changed[None].float(), 13, 1, 6)
    shown = Restore().run(original, edited, room + 1 / 255)
    image, mask, changes, aligned, seam, report = shown["result"]
    assert image.shape == changes.shape == aligned.shape == (1, 64, 80, 3)
    assert torch.equal(mask > 0, room > 0)
    assert torch.equal(image[mask == 0], original[mask == 0])
    assert 0 <= seam < 0.1
    assert report == shown["ui"]["text"][0]
    assert report.startswith("image 0: shifted by ") and "mask_threshold 0.1" in report
