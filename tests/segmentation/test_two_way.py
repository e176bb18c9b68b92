"""The two-way transformer in turns, through the mask decoder of a small SAM."""

import pytest
import torch
from trilemma.models.segmentation import two_way
from trilemma.models.segmentation.prompts import Point, Prompt
from trilemma.tests.closeness import assert_close


def boxes(count):
    return [Prompt(0, {"x": 3 * i, "y": 2 * i, "width": 20 + i, "height": 15}, ()) for i in range(count)]


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 2, 3, 9])
@pytest.mark.parametrize("three", [False, True])
@pytest.mark.parametrize("corrected", [False, True], ids=["first", "corrected"])
def test_turns_change_nothing(segmenter, embedding, monkeypatch, count, three, corrected):
    """An image that all prompts share, or one for each, as with the masks of earlier answers."""
    prompts = boxes(count)
    earlier = segmenter.decode(embedding, 0, prompts, three=False)[0] if corrected else None
    together = segmenter.decode(embedding, 0, prompts, three, earlier)
    monkeypatch.setattr(two_way, "PLACES_BYTES", 1)
    one_by_one = segmenter.decode(embedding, 0, prompts, three, earlier)
    alone = [
        segmenter.decode(embedding, 0, [prompt], three, None if earlier is None else earlier[i : i + 1])
        for i, prompt in enumerate(prompts)
    ]
    for found, expected, singles in zip(one_by_one, together, zip(*alone, strict=True), strict=True):
        assert_close(found, expected)
        assert_close(torch.cat(singles), expected)


@torch.no_grad()
def test_more_points_than_an_attention_has_channels(segmenter, embedding):
    """So many tokens read the image as it is, not folded into them."""
    width = segmenter.config.prompt_dim // segmenter.config.decoder_downsample
    many = tuple(Point(4.0 * i, 2.0 * i, i % 2) for i in range(width // segmenter.config.decoder_num_heads + 1))
    prompts = [Prompt(0, box, many) for _, box, _ in boxes(3)]
    together, _ = segmenter.decode(embedding, 0, prompts, three=False)
    alone = [segmenter.decode(embedding, 0, [prompt], three=False)[0] for prompt in prompts]
    assert_close(torch.cat(alone), together)


def test_how_many_prompts_at_once():
    cpu, other = torch.device("cpu"), torch.device("meta")
    assert two_way.prompts_at_once(64 * 64, 256, cpu) == 2
    assert two_way.prompts_at_once(128 * 128, 256, cpu) == 1
    assert two_way.prompts_at_once(16 * 16, 64, cpu) == 128
    assert two_way.prompts_at_once(64 * 64, 256, other) == 256
