"""A video's features do not fill the memory: what is kept is bounded, and all else is as if everything were kept."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.segmentation import base
from trilemma.models.segmentation.decoding import memory_bytes, refine, segment
from trilemma.models.segmentation.everything import segment_everything
from trilemma.models.segmentation.prompts import Point, Prompt
from trilemma.tests.peak_memory import peak_bytes
from trilemma.tests.segmentation import tiny

pytestmark = pytest.mark.slow

EACH = 4 * tiny.DIM * (tiny.IMAGE_SIZE // tiny.PATCH) ** 2
"""Bytes of an image's features."""
BOX = {"x": 5, "y": 5, "width": 40, "height": 30}


@pytest.fixture
def video():
    return torch.rand(7, 50, 90, 3, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def three_kept(monkeypatch):
    monkeypatch.setattr(base, "KEPT_BYTES", 3 * EACH + 1)


def prompts(frames):
    """Two kinds in every other frame, so that some are never asked for."""
    return [
        prompt
        for frame in range(0, frames, 2)
        for prompt in (Prompt(frame, BOX, ()), Prompt(frame, None, (Point(20.0, 30.0, 1),)))
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_all_answers_are_the_same(segmenter, video, monkeypatch, batch_size):
    whole = segmenter.encode(video, batch_size)
    assert (whole.kept, whole.frames) == (7, 7)
    monkeypatch.setattr(base, "KEPT_BYTES", 3 * EACH + 1)
    part = segmenter.encode(video, batch_size)
    assert (part.kept, part.frames) == (3, 7)
    asked = prompts(7)
    expected, logits = refine(segmenter, whole, asked, None)
    found, given = refine(segmenter, part, asked, None)
    torch.testing.assert_close(given.values, logits.values, rtol=1e-4, atol=1e-4)
    assert [each.box for each in found.objects] == [each.box for each in expected.objects]
    again, _ = refine(segmenter, part, asked, given)
    assert again.frames == 7
    everything = segment_everything(segmenter, part, 3, 0.0, 0.0)
    assert [each.frame for each in everything.objects] == [
        each.frame for each in segment_everything(segmenter, whole, 3, 0.0, 0.0).objects
    ]


def looks(segmenter, monkeypatch):
    """How many images the network looks at, call by call."""
    seen = []
    look = type(segmenter).look

    def counted(self, images):
        seen.append(len(images))
        return look(self, images)

    monkeypatch.setattr(type(segmenter), "look", counted)
    return seen


def test_a_small_batch_is_encoded_once(segmenter, video, monkeypatch):
    seen = looks(segmenter, monkeypatch)
    embedding = segmenter.encode(video)
    for _ in range(3):
        segment(segmenter, embedding, prompts(7))
    assert seen == [1] * 7


def test_a_later_image_is_encoded_when_it_is_asked_for_once_a_run(segmenter, video, monkeypatch, three_kept):
    seen = looks(segmenter, monkeypatch)
    embedding = segmenter.encode(video, 2)
    assert seen == [2, 1]
    segment(segmenter, embedding, prompts(7), chunk_size=1)
    assert seen == [2, 1, 1, 1]  # images 4 and 6, each for two prompts


def test_one_image_is_kept_however_large_its_features(segmenter, video, monkeypatch):
    monkeypatch.setattr(base, "KEPT_BYTES", 1)
    assert segmenter.encode(video).kept == 1


def test_steps_are_those_of_the_images(segmenter, video, three_kept):
    steps = []
    segmenter.encode(video, 2, lambda done, preview=None: steps.append(done))
    assert steps == [2, 3, 7]


def test_an_image_that_comes_later_is_checked_at_once(segmenter, video, three_kept):
    video[6, 0, 0, 0] = float("nan")
    with pytest.raises(BadInput, match="image 6"):
        segmenter.encode(video)


def test_the_estimate_makes_room_for_encoding(segmenter, video, monkeypatch):
    whole = segmenter.encode(video)
    assert memory_bytes(segmenter, whole, 1) == segmenter.decode_bytes(1, 50, 90)
    monkeypatch.setattr(base, "KEPT_BYTES", EACH)
    assert memory_bytes(segmenter, segmenter.encode(video), 1) >= segmenter.encode_bytes(1)


def test_a_hundred_images_take_no_more_memory_than_twenty(segmenter, monkeypatch):
    """Beside the results themselves: one mask's logits for each, and its bits."""
    monkeypatch.setattr(base, "KEPT_BYTES", 4 * EACH)
    logits = 4 * (4 * tiny.IMAGE_SIZE // tiny.PATCH) ** 2

    def peak(frames):
        images = torch.rand(frames, 40, 40, 3)
        asked = [Prompt(frame, BOX, ()) for frame in range(frames)]
        return peak_bytes(lambda: segment(segmenter, segmenter.encode(images), asked))

    grown = peak(100) - peak(20)
    assert 0 < grown <= 80 * (logits + 40 * 40 / 8)
