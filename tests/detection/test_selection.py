"""Thresholds, names, overlaps, order and reports; boxes, scores and labels against transformers' post-processing."""

import inspect
import json
import re
from types import SimpleNamespace

import pytest
import torch
from trilemma.models.detection.captions import encode, read_vocabulary
from trilemma.models.detection.dropping import read_numbers
from trilemma.models.detection.page import to_page
from trilemma.models.detection.selection import below, own_tokens, select
from trilemma.models.errors import BadInput
from trilemma.models.values import Detections
from trilemma.tests.detection import berts

HEIGHT, WIDTH = 300, 400
LOW = -9.0


def detections(prompt: str, boxes: list, words: list[dict[str, float]], frames: int = 1) -> Detections:
    """One query per box, with the given probability for each word; what is not given is near zero."""
    asked = encode(prompt, read_vocabulary(), 256)
    probabilities = torch.full((len(boxes), len(asked.tokens)), 1e-4)
    for row, given in zip(probabilities, words, strict=True):
        for word, probability in given.items():
            name, _, place = word.partition("#")
            where = [i for i, token in enumerate(asked.tokens) if token == name]
            row[where[int(place or 0)]] = probability
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(1, -1, 4).repeat(frames, 1, 1),
        probabilities[None].repeat(frames, 1, 1),
        asked.phrase_tokens,
        asked.phrases,
        asked.tokens,
        HEIGHT,
        WIDTH,
    )


def labels(found, frame: int = 0) -> list[str]:
    return [box["label"] for box in found.boxes[frame]]


LEFT, RIGHT = [0.2, 0.5, 0.2, 0.2], [0.8, 0.5, 0.3, 0.4]


def test_a_closed_set_gives_no_thresholds_for_what_it_does_not_know():
    raw = detections("a cat . a person", [LEFT, RIGHT], [{"cat": 0.205}, {"person": 0.305}])
    open_set, closed = select(raw), select(raw._replace(names=("cat", "dog", "penguin")))
    assert "a person: best score 0.305; box_threshold 0.30" in open_set.report
    assert "a cat: best score 0.205; box_threshold 0.20" in closed.report
    assert "a person: best score" not in closed.report
    assert "'a person' is none of the 3 names that this starter detector knows" in closed.report
    assert "load a published Grounding DINO" in closed.report
    found = select(raw._replace(names=("cat", "dog", "penguin")), box_threshold=0.25)
    assert labels(found) == ["a person"]
    assert "is none of the 3 names" in found.report


# Against transformers.


def post_process(logits: torch.Tensor, boxes: torch.Tensor, ids: torch.Tensor, box_threshold, text_threshold):
    """transformers' answer for a batch, whatever this version calls its threshold and its labels."""
    from transformers import GroundingDinoImageProcessor, GroundingDinoProcessor

    processor = GroundingDinoProcessor(GroundingDinoImageProcessor(), berts.tokenizer())
    process = processor.post_process_grounded_object_detection
    name = "threshold" if "threshold" in inspect.signature(process).parameters else "box_threshold"
    results = process(
        SimpleNamespace(logits=logits, pred_boxes=boxes),
        input_ids=ids.expand(len(logits), -1),
        text_threshold=text_threshold,
        target_sizes=[(HEIGHT, WIDTH)] * len(logits),
        **{name: box_threshold},
    )
    return [(r["boxes"], r["scores"], r["text_labels"] if "text_labels" in r else r["labels"]) for r in results]


@pytest.mark.slow
@pytest.mark.parametrize("box_threshold", [0.2, 0.35, 0.6])
@pytest.mark.parametrize("text_threshold", [0.1, 0.25])
def test_boxes_scores_and_labels_are_transformers(box_threshold, text_threshold):
    asked = encode("a cat . remote control . pineapples . red car . dog", read_vocabulary(), 256)
    random = torch.Generator().manual_seed(11)
    frames, queries, tokens = 3, 200, len(asked.tokens)
    boxes = torch.rand(frames, queries, 4, generator=random) * 0.2 + 0.3
    # As in a trained network a query shows all words of one phrase, more or less surely, and hardly another word.
    logits = torch.full((frames, queries, 256), float("-inf"))
    logits[..., :tokens] = LOW
    shown = torch.randint(0, 5, (frames, queries), generator=random)
    strength = torch.randn(frames, queries, 1, generator=random) * 1.5
    spelled = asked.phrase_tokens[shown]
    noise = torch.rand(frames, queries, tokens, generator=random) * 0.02
    logits[..., :tokens] = torch.where(spelled, strength + noise, logits[..., :tokens])

    raw = Detections(
        boxes, logits[..., :tokens].sigmoid(), asked.phrase_tokens, asked.phrases, asked.tokens, HEIGHT, WIDTH
    )
    found = select(raw, box_threshold=box_threshold, text_threshold=text_threshold, nms_threshold=1).boxes
    expected = post_process(logits, boxes, asked.ids, box_threshold, text_threshold)
    total = 0
    for ours, (corners, scores, names) in zip(found, expected, strict=True):
        # Where no word exceeds the text threshold it keeps a box without a name, and we keep none.
        order = [i for i in scores.argsort(descending=True, stable=True).tolist() if names[i]]
        mine = torch.tensor([[b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]] for b in ours])
        torch.testing.assert_close(mine.reshape(-1, 4), corners[order], rtol=0, atol=1e-3)
        torch.testing.assert_close(torch.tensor([b["score"] for b in ours]), scores[order], rtol=0, atol=1e-6)
        assert [b["label"] for b in ours] == [names[i] for i in order]
        total += len(ours)
    assert 0 < total < frames * queries


@pytest.mark.slow
def test_boxes_and_scores_are_transformers_for_any_probabilities_of_words():
    asked = encode("cat . big dog . tree", read_vocabulary(), 256)
    random = torch.Generator().manual_seed(5)
    tokens = len(asked.tokens)
    logits = torch.full((1, 300, 256), float("-inf"))
    word = asked.phrase_tokens.any(dim=0)
    logits[..., :tokens] = torch.where(word, torch.randn(1, 300, tokens, generator=random) * 2, torch.tensor(LOW))
    boxes = torch.rand(1, 300, 4, generator=random) * 0.2 + 0.3
    raw = Detections(
        boxes, logits[..., :tokens].sigmoid(), asked.phrase_tokens, asked.phrases, asked.tokens, HEIGHT, WIDTH
    )
    ours = select(raw, box_threshold=0.5, text_threshold=0.25, nms_threshold=1).boxes[0]
    corners, scores, names = post_process(logits, boxes, asked.ids, 0.5, 0.25)[0]
    order = scores.argsort(descending=True, stable=True)
    torch.testing.assert_close(torch.tensor([b["score"] for b in ours]), scores[order], rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.tensor([b["x"] for b in ours]), corners[order, 0], rtol=0, atol=1e-3)
    # transformers strings together all likely words; the likeliest of them is always one of our phrase's.
    assert all(set(b["label"].split()) & set(names[i].split()) for b, i in zip(ours, order, strict=True))


# Names.


def test_shared_words_do_not_decide_between_phrases():
    shared = {"car": 0.54, "car#1": 0.60}
    raw = detections(
        "a red car . a blue car",
        [LEFT, RIGHT, [0.5, 0.5, 0.1, 0.1]],
        [{"red": 0.5, **shared}, {"blue": 0.4, **shared}, {"red": 0.1, "blue": 0.15, **shared}],
    )
    found = select(raw)
    assert labels(found) == ["a blue car", "a red car"]
    assert [b["score"] for b in found.boxes[0]] == pytest.approx([0.60, 0.54])
    # The green car has no word of its own above the text threshold.
    assert labels(select(raw, text_threshold=0.1)) == ["a blue car", "a blue car", "a red car"]


def test_phrase_without_own_words_keeps_all_of_its_words():
    raw = detections("car . red car", [LEFT, RIGHT], [{"car": 0.6, "car#1": 0.5, "red": 0.1}, {"car": 0.3, "red": 0.7}])
    own = own_tokens(raw)
    assert [[raw.tokens[t] for t in row.nonzero().flatten()] for row in own] == [["car"], ["red"]]
    assert labels(select(raw)) == ["red car", "car"]


def test_labels_are_the_users_spelling():
    assert labels(select(detections("Big Dog", [LEFT], [{"dog": 0.9}]))) == ["Big Dog"]


# Boxes.


def test_boxes_are_pixels_inside_the_image():
    raw = detections("dog", [[0.5, 0.5, 0.5, 0.5], [0.9, 0.05, 0.4, 0.3]], [{"dog": 0.9}, {"dog": 0.8}])
    first, second = select(raw).boxes[0]
    assert (first["x"], first["y"], first["width"], first["height"]) == pytest.approx((100, 75, 200, 150))
    assert (second["x"], second["y"], second["width"], second["height"]) == pytest.approx((280, 0, 120, 60))
    assert all(type(first[key]) is float for key in ("x", "y", "width", "height", "score"))


def test_boxes_wholly_outside_are_never_kept():
    raw = detections("dog", [[1.3, 0.5, 0.4, 0.4], LEFT], [{"dog": 0.9}, {"dog": 0.5}])
    assert [b["score"] for b in select(raw, box_threshold=0).boxes[0]] == pytest.approx([0.5])


def test_thresholds_are_exclusive_and_exact():
    raw = detections("dog", [LEFT], [{"dog": 0.75}])
    assert len(select(raw, box_threshold=0.74).boxes[0]) == 1
    assert len(select(raw, box_threshold=0.75).boxes[0]) == 0
    assert len(select(raw, box_threshold=0.1, text_threshold=0.75).boxes[0]) == 0


# Overlaps.

SHIFTED = [0.22, 0.5, 0.2, 0.2]
"""Overlaps LEFT with an IoU of 9 / 11."""


def test_overlaps_are_removed_within_a_phrase_only():
    raw = detections("dog . cat", [LEFT, SHIFTED, LEFT], [{"dog": 0.5}, {"dog": 0.9}, {"cat": 0.7}])
    found = select(raw, nms_threshold=0.7)
    assert [(b["label"], round(b["score"], 2)) for b in found.boxes[0]] == [("dog", 0.9), ("cat", 0.7)]
    assert "left out: 1 overlapping" in found.report
    assert len(select(raw, nms_threshold=0.85).boxes[0]) == 3
    assert len(select(raw, nms_threshold=1).boxes[0]) == 3


def test_suppression_is_greedy_by_score():
    chain = [[0.2 + 0.05 * i, 0.5, 0.2, 0.2] for i in range(3)]
    raw = detections("dog", chain, [{"dog": 0.5}, {"dog": 0.9}, {"dog": 0.6}])
    assert [round(b["score"], 2) for b in select(raw, nms_threshold=0.5).boxes[0]] == [0.9]
    raw = detections("dog", chain, [{"dog": 0.9}, {"dog": 0.5}, {"dog": 0.6}])
    assert [round(b["score"], 2) for b in select(raw, nms_threshold=0.5).boxes[0]] == [0.9, 0.6]


def test_boxes_of_other_passes_are_suppressed_whatever_their_phrase():
    raw = detections(
        "dog . cat", [LEFT, RIGHT, SHIFTED, LEFT], [{"dog": 0.5}, {"dog": 0.6}, {"cat": 0.9}, {"cat": 0.3}]
    )
    one = select(raw, nms_threshold=0.7, box_threshold=0.25)
    assert [(b["label"], round(b["score"], 2)) for b in one.boxes[0]] == [("cat", 0.9), ("dog", 0.6), ("dog", 0.5)]
    two = select(raw._replace(passes=2), nms_threshold=0.7, box_threshold=0.25)
    assert [(b["label"], round(b["score"], 2)) for b in two.boxes[0]] == [("cat", 0.9), ("dog", 0.6)]
    assert "left out: 2 overlapping" in two.report
    assert len(select(raw._replace(passes=2), nms_threshold=1, box_threshold=0.25).boxes[0]) == 4
    hidden = raw._replace(passes=2, token_probs=raw.token_probs.clone())
    hidden.token_probs[:, 1] = 0.01
    report = select(hidden, nms_threshold=0.7).report
    assert report.splitlines()[1:] == [
        "image 0: cat 0.90 (left out: 1 overlapping)",
        "  dog: best score 0.500, left out: it overlaps a better box",
    ]


# Limits and thresholds of phrases.


def three_dogs_and_a_cat():
    boxes = [[0.1 + 0.25 * i, 0.5, 0.1, 0.2] for i in range(4)]
    return detections("dog . cat", boxes, [{"dog": 0.5}, {"dog": 0.9}, {"dog": 0.7}, {"cat": 0.305}])


def test_a_limit_keeps_the_best_of_its_phrase_in_each_image():
    raw = three_dogs_and_a_cat()._replace(limits=(2, 0))
    found = select(raw, box_threshold=0.2)
    assert [(b["label"], round(b["score"], 1)) for b in found.boxes[0]] == [("dog", 0.9), ("dog", 0.7), ("cat", 0.3)]
    assert "left out: 1 beyond the limit of their phrase" in found.report
    assert labels(select(raw._replace(limits=(2, 5)), box_threshold=0.2, top_k=2)) == ["dog", "dog"]
    # What overlaps a better one takes no place.
    copies = detections("dog", [LEFT, SHIFTED, RIGHT], [{"dog": 0.9}, {"dog": 0.8}, {"dog": 0.5}])
    assert len(select(copies._replace(limits=(2,))).boxes[0]) == 2


def test_a_phrase_has_its_own_threshold():
    raw = three_dogs_and_a_cat()._replace(thresholds=(0.6, 0.1))
    found = select(raw)
    assert [(b["label"], round(b["score"], 1)) for b in found.boxes[0]] == [("dog", 0.9), ("dog", 0.7), ("cat", 0.3)]
    assert labels(select(raw._replace(thresholds=(None, 0.1)))) == ["dog", "dog", "dog", "cat"]
    # It also stands for a text threshold that is higher.
    assert labels(select(raw, text_threshold=0.5)) == ["dog", "dog", "cat"]


def test_advice_for_a_phrase_with_its_own_threshold_works():
    raw = three_dogs_and_a_cat()._replace(thresholds=(None, 0.5))
    assert "  cat: best score 0.305; cat@0.30 would keep it" in select(raw).report
    assert "cat" in labels(select(raw._replace(thresholds=(None, 0.3))))
    cars = detections("red car . blue car", [LEFT], [{"red": 0.3, "car": 0.9, "car#1": 0.9}])
    assert "red car@0.89 would keep it" in select(cars._replace(thresholds=(0.95, None))).report
    assert labels(select(cars._replace(thresholds=(0.89, None)))) == ["red car"]


# Filters and order.

THREE = detections(
    "dog . cat . bird",
    [[0.7, 0.5, 0.3, 0.5], [0.2, 0.5, 0.1, 0.2], [0.5, 0.3, 0.2, 0.3]],
    [{"dog": 0.6}, {"cat": 0.9}, {"bird": 0.7}],
    frames=2,
)


@pytest.mark.parametrize(
    ("sort_by", "expected"),
    [
        ("score", ["cat", "bird", "dog"]),
        ("area", ["dog", "bird", "cat"]),
        ("left to right", ["cat", "bird", "dog"]),
    ],
)
def test_order(sort_by, expected):
    assert labels(select(THREE, sort_by=sort_by), 1) == expected


def test_top_k_takes_the_best_of_each_image_before_it_sorts():
    found = select(THREE, top_k=2, sort_by="area")
    assert [labels(found, frame) for frame in (0, 1)] == [["bird", "cat"]] * 2
    assert "left out: 1 beyond top_k" in found.report


@pytest.mark.parametrize("wanted", ["Dog, cat", "cat . dog", " dog ,, CAT "])
def test_labels_filter(wanted):
    assert labels(select(THREE, labels=wanted)) == ["cat", "dog"]


def test_unknown_label_names_the_phrases():
    with pytest.raises(BadInput, match=r"labels: 'cats' is no phrase of the prompt; choose among dog, cat, bird"):
        select(THREE, labels="cats")


def test_areas_are_fractions_of_the_image():
    assert labels(select(THREE, min_area=0.05)) == ["bird", "dog"]
    assert labels(select(THREE, max_area=0.061)) == ["cat", "bird"]


# Reports.


def test_report_lists_what_was_kept():
    assert select(THREE).report == (
        "6 boxes in 2 images\nimage 0: cat 0.90, bird 0.70, dog 0.60\nimage 1: cat 0.90, bird 0.70, dog 0.60"
    )


def test_report_says_why_nothing_was_kept_and_its_advice_works():
    raw = detections("dog . cat", [LEFT, RIGHT], [{"dog": 0.314}, {"cat": 0.068}])
    found = select(raw)
    assert found.boxes == [[]]
    assert found.report.splitlines()[:2] == ["0 boxes in 1 image", "image 0: nothing kept"]
    assert "dog: best score 0.314; box_threshold 0.31 would keep it" in found.report
    assert "cat: best score 0.068; box_threshold 0.06 and text_threshold 0.06 would keep it" in found.report
    for line, phrase in zip(found.report.splitlines()[2:], ("dog", "cat"), strict=True):
        advice = {name: float(value) for name, value in re.findall(r"(\w+_threshold) ([\d.]+)", line)}
        assert phrase in labels(select(raw, **advice))


def test_report_names_every_phrase_of_each_image():
    raw = detections(
        "dog . cat . bird", [LEFT, RIGHT, [0.5, 0.2, 0.1, 0.1]], [{"dog": 0.9}, {"cat": 0.195}, {"bird": 0.4}]
    )
    assert select(raw).report.splitlines() == [
        "2 boxes in 1 image",
        "image 0: dog 0.90, bird 0.40",
        "  cat: best score 0.195; box_threshold 0.19 and text_threshold 0.19 would keep it",
    ]
    assert select(raw, top_k=1).report.splitlines() == [
        "1 box in 1 image",
        "image 0: dog 0.90 (left out: 1 beyond top_k)",
        "  cat: best score 0.195; box_threshold 0.19 and text_threshold 0.19 would keep it",
        "  bird: best score 0.400, left out: beyond top_k",
    ]
    assert "cat" not in select(raw, labels="dog, bird").report


def test_report_blames_the_text_threshold():
    raw = detections("red car . blue car", [LEFT], [{"red": 0.199, "car": 0.9, "car#1": 0.9}])
    found = select(raw)
    assert found.boxes == [[]]
    assert "red car: best score 0.900; text_threshold 0.19 would keep it" in found.report
    assert "blue car: best score 0.900, on a box that fits 'red car' better" in found.report


def test_report_blames_the_area():
    raw = detections("dog", [LEFT], [{"dog": 0.9}])
    report = select(raw, min_area=0.5).report
    assert "dog: best score 0.900, but it covers 0.0400 of the image; move min_area or max_area" in report


def test_report_is_about_the_wanted_labels_only():
    assert "dog" not in select(THREE, box_threshold=0.99, labels="cat").report


def test_images_without_boxes_keep_their_place():
    raw = detections("dog", [LEFT], [{"dog": 0.9}], frames=3)
    raw.token_probs[1] = 0.01
    found = select(raw)
    assert [len(boxes) for boxes in found.boxes] == [1, 0, 1]


def test_advised_threshold_is_the_largest_that_keeps():
    random = torch.rand(500, generator=torch.Generator().manual_seed(1)).tolist()
    for score in (*random, 0.25, 0.5, 0.07, 0.29, 0.57, 1.0):
        threshold = below(score)
        assert threshold < score <= threshold + 0.01 + 1e-12


def test_inputs_are_not_changed():
    before = [tensor.clone() for tensor in THREE[:3]]
    select(THREE, nms_threshold=0.1, top_k=1)
    assert all(map(torch.equal, THREE[:3], before))


TWO_CATS = [[0.2, 0.5, 0.2, 0.4], [0.21, 0.5, 0.2, 0.4], [0.8, 0.5, 0.2, 0.4]]
SURE = [{"cat": 0.9}, {"cat": 0.8}, {"cat": 0.7}]


def test_boxes_are_dropped_by_their_numbers():
    raw = detections("cat", TWO_CATS, SURE, frames=2)
    found = select(raw)
    assert found.numbers == [[0, 2], [3, 5]] and found.dropped == [[], []]
    less = select(raw, dropped={3})
    assert less.numbers == [[0, 2], [5]]
    assert less.boxes == [found.boxes[0], found.boxes[1][1:]]
    assert less.dropped == [[], [(3, found.boxes[1][0])]]
    assert "image 1: cat 0.70 (left out: 1 overlapping, 1 dropped by hand)" in less.report


def test_what_a_dropped_box_overlapped_stays_away_and_a_limit_is_filled():
    raw = detections("cat", TWO_CATS, SURE)
    assert select(raw, dropped={0}).numbers == [[2]]
    assert select(raw, top_k=1).numbers == [[0]]
    assert select(raw, top_k=1, dropped={0}).numbers == [[2]]
    none = select(raw, dropped={0, 2})
    assert none.boxes == [[]]
    assert "nothing kept (left out: 1 overlapping, 2 dropped by hand)" in none.report
    assert "cat: best score 0.900, left out: dropped by hand" in none.report


def test_thresholds_do_not_renumber():
    raw = detections("cat", TWO_CATS, SURE)
    assert select(raw, box_threshold=0.75).numbers == [[0]]
    assert select(raw, box_threshold=0.6, sort_by="left to right", dropped={2}).numbers == [[0]]


@pytest.mark.parametrize("text", ["", "[]", " [ ] "])
def test_no_numbers(text):
    assert read_numbers(text, detections("cat", TWO_CATS, SURE)) == frozenset()


def test_numbers_are_read_and_checked():
    raw = detections("cat", TWO_CATS, SURE, frames=2)
    assert read_numbers("[5, 0, 5]", raw) == {0, 5}
    wrong = {"[0": "no JSON", "3": "list of whole", "[true]": "list of whole", "[1.5]": "list of whole"}
    wrong |= {"[6]": "no candidate 6; there are 6, counted from 0; clear it", "[-1]": "no candidate -1"}
    for text, message in wrong.items():
        with pytest.raises(BadInput, match=f"dropped: .*{re.escape(message)}"):
            read_numbers(text, raw)


def test_the_page_gets_boxes_with_numbers_and_scores_by_phrase():
    raw = detections("cat, dog", TWO_CATS, [{"cat": 0.91}, {"dog": 0.55}, {"cat": 0.11}])
    page = json.loads(json.dumps(to_page(raw, select(raw, dropped={1}), 0.35), allow_nan=False))
    assert (page["width"], page["height"]) == (WIDTH, HEIGHT)
    assert [(box["number"], box["label"], box["phrase"]) for box in page["images"][0]] == [(0, "cat", 0), (1, "dog", 1)]
    cat, dog = page["phrases"]
    assert (cat["label"], cat["threshold"], dog["threshold"]) == ("cat", 0.35, 0.35)
    assert {place: count for place, count in enumerate(cat["counts"]) if count} == {5: 1, 45: 1}
    assert {place: count for place, count in enumerate(dog["counts"]) if count} == {27: 1}


def test_a_phrase_with_its_own_threshold_shows_that():
    raw = detections("cat", TWO_CATS, SURE)._replace(thresholds=(0.85,))
    assert to_page(raw, select(raw), 0.35)["phrases"][0]["threshold"] == 0.85
