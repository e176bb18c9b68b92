"""CLIP score from embeddings, prompts by lines, and projections that were never trained."""

import json

import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.scoring.metrics import clip_score
from trilemma.models.scoring.reports import prompts_report


def trained(rows=8, columns=8):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)) * 0.1


def test_it_is_the_cosine_in_percent_and_never_negative():
    images = torch.tensor([[3.0, 0], [1, 1], [-1, 0]])
    texts = torch.tensor([[0.5, 0], [2, 0], [1, 0]])
    assert clip_score.clip_scores(images, texts) == pytest.approx((100, 100 * 0.5**0.5, 0))


def test_other_embeddings_are_refused_with_both_sizes():
    with pytest.raises(BadInput, match="prompts have 3 features and images 2"):
        clip_score.clip_scores(torch.ones(1, 2), torch.ones(1, 3))


def test_half_precision_is_no_matter():
    images, texts = trained(4), trained(4) + 0.01
    exact = clip_score.clip_scores(images, texts)
    assert clip_score.clip_scores(images.half(), texts.half()) == pytest.approx(exact, abs=0.05)


@pytest.mark.parametrize(
    ("text", "count", "prompts"),
    [
        ("a cat", 3, ["a cat"] * 3),
        ("a cat\n\n a dog \n", 3, ["a cat", "a dog", "a cat"]),
        ("a\nb", 2, ["a", "b"]),
    ],
)
def test_lines_are_taken_in_turn(text, count, prompts):
    assert clip_score.read_prompts(text, count) == prompts


@pytest.mark.parametrize(("text", "said"), [(" \n ", "it is empty"), ("a\nb\nc", "3 lines for 2 images")])
def test_bad_prompts(text, said):
    with pytest.raises(BadInput, match=said):
        clip_score.read_prompts(text, 2)


def test_a_trained_projection_passes():
    clip_score.check_projection(trained(), "clip", ("a.safetensors",), True)
    clip_score.check_projection(trained(4, 8), "clip", (), False)


ZERO_ROW = trained()
ZERO_ROW[3] = 0


@pytest.mark.parametrize(
    ("weight", "files", "in_files", "said"),
    [
        (None, (), False, "this model has no projection"),
        (None, ("t5.safetensors",), False, r"this model \(t5.safetensors\) has no projection"),
        (trained(), ("sd15.safetensors",), False, r"this model \(sd15.safetensors\) has no projection"),
        (torch.zeros(8, 8), (), False, "is zero"),
        (ZERO_ROW, (), False, "is zero, at least in part"),
        (torch.eye(8), (), False, "is the identity"),
        (torch.eye(8), ("merged.safetensors",), True, "is the identity"),
        (trained() * 1e30, (), False, "what was left in memory"),
        (trained() * float("nan"), (), False, "what was left in memory"),
    ],
    ids=["none", "none in a file", "not in the file", "zeros", "a row", "identity", "saved identity", "huge", "NaN"],
)
def test_a_projection_that_was_never_trained_is_refused(weight, files, in_files, said):
    with pytest.raises(BadCheckpoint, match=f"clip: .*{said}"):
        clip_score.check_projection(weight, "clip", files, in_files)


def test_images_are_embedded_in_batches_and_in_order():
    images, sizes, done = torch.rand(5, 2, 2, 3), [], []

    def embed(batch):
        sizes.append(len(batch))
        return batch.flatten(1)

    assert torch.equal(clip_score.embed_images(images, embed, 2, done.append), images.flatten(1))
    assert (sizes, done) == ([2, 2, 1], [2, 4, 5])


def test_every_image_is_told_with_its_prompt():
    values, prompts = (20.0, 30.0), ("ein Kätzchen", "a dog")
    content = json.loads(prompts_report.to_json(values, prompts))
    assert content["mean"] == 25 and content["images"][0]["prompt"] == "ein Kätzchen"
    text = prompts_report.describe(values, prompts, ["clip"])
    assert "image 1: CLIP score 30.00, a dog" in text and "mean: 25.00" in text and "clip: the host" in text
    (score,) = clip_score.as_scores(values)
    assert (score.value, score.spread) == (25, pytest.approx(50**0.5))
