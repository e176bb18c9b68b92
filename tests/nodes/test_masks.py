"""The nodes of Trilemma/Masks."""

import pytest
import torch
from trilemma.host import standalone
from trilemma.models.errors import BadInput
from trilemma.models.pictures import masks
from trilemma.models.segmentation import sam2
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.pictures.test_objects import ALL, HEIGHT, NONE, WIDTH

Select, ToMasks, GrowSoften, FromMasks, Track = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in ("SelectObjects", "ObjectsToMasks", "GrowSoftenMasks", "ObjectsFromMasks", "TrackObjects")
)


def test_select():
    answer = Select().run(ALL, labels="cat", min_area=1, indices="0")
    objects, boxes, report = answer["result"]
    assert answer["ui"] == {"text": [report]}
    assert [found.label for found in objects.objects] == ["cat", "Cat"]
    assert [len(frame) for frame in boxes] == [1, 0, 1]
    assert report.count("\n") == 1


def test_select_keeps_all_by_default():
    assert Select().run(ALL)["result"][0] == ALL
    assert Select().run(NONE)["result"] == (NONE, [[], [], []], "no objects in 3 images")


def test_an_empty_selection_says_what_there_was():
    objects, boxes, text = Select().run(ALL, labels="dog, top hat", min_score=1.0)["result"]
    assert (objects.objects, boxes) == ((), [[], [], []])
    first, *rest = text.splitlines()
    assert first == "no object passes the filters; there were:"
    assert len(rest) == len(ALL.objects)
    assert rest[0].startswith("image 0, object 0: cat, score 0.90")


def test_one_object_is_followed_by_its_label():
    answer = Track().run(ALL, min_iou=0.0)
    tracked, report = answer["result"]
    assert answer["ui"] == {"text": [report]}
    assert [found.mask for found in tracked.objects] == [found.mask for found in ALL.objects]
    first = tracked.objects[0].label
    assert first.endswith(" 1") and f"{first}: " in report
    assert Select().run(tracked, labels=first)["result"][0].objects


@pytest.mark.slow
def test_objects_are_followed_by_their_looks(tmp_path, monkeypatch):
    (tmp_path / "sams").mkdir()
    sam2.tiny(tmp_path / "sams")
    monkeypatch.setitem(standalone._places, "models", tmp_path)
    (segmenter,) = NODE_CLASS_MAPPINGS["TrilemmaLoadSegmenter"]().run("tiny")
    (embedding,) = NODE_CLASS_MAPPINGS["TrilemmaEncodeImage"]().run(segmenter, torch.rand(3, HEIGHT, WIDTH, 3))
    tracked, text = Track().run(ALL, segmenter=segmenter, embedding=embedding, appearance=1.0)["result"]
    assert [each.mask for each in tracked.objects] == [each.mask for each in ALL.objects]
    assert text.startswith(tracked.objects[0].label)
    for settings, missing in (({"segmenter": segmenter}, "embedding"), ({"embedding": embedding}, "segmenter")):
        with pytest.raises(BadInput, match=f"{missing}: it is not connected"):
            Track().run(ALL, **settings)


def test_bad_indices():
    with pytest.raises(BadInput, match="indices"):
        Select().run(ALL, indices="first")


@pytest.mark.parametrize(
    ("objects", "mode", "shape", "indices"),
    [
        (ALL, "one per image", (3, HEIGHT, WIDTH), [0, 1, 2]),
        (ALL, "one per object", (4, HEIGHT, WIDTH), [0, 0, 2, 2]),
        (NONE, "one per image", (3, HEIGHT, WIDTH), [0, 1, 2]),
        (NONE, "one per object", (1, HEIGHT, WIDTH), [0]),
    ],
)
def test_objects_to_masks(objects, mode, shape, indices):
    found, images = ToMasks().run(objects, mode)
    assert found.shape == shape
    assert found.dtype == torch.float32
    assert images == indices


def ring():
    """A ring with a pixel far away: holes, islands and edges."""
    mask = torch.zeros(1, 30, 30)
    mask[0, 5:15, 5:15] = 1
    mask[0, 8:12, 8:12] = 0
    mask[0, 25, 25] = 1
    return mask


def test_grow_and_soften_do_one_after_the_other():
    mask = ring()
    before = mask.clone()
    (found,) = GrowSoften().run(mask, 2, 1.5, tapered_corners=False, fill_holes=True, drop_islands=5)
    square = torch.zeros(1, 30, 30)
    square[0, 3:17, 3:17] = 1
    assert torch.equal(found, masks.soften(square, 1.5))
    assert torch.equal(mask, before)


def test_nothing_to_do_changes_nothing():
    assert torch.equal(GrowSoften().run(ring(), 0, 0.0)[0], ring())


def test_a_batch_stays_a_batch():
    batch = torch.rand(3, 7, 5).half()
    shown = GrowSoften().run(batch, -1, 0.5, fill_holes=True, drop_islands=2)
    (found,) = shown["result"]
    assert "mask_threshold 0.1" in shown["ui"]["text"][0]
    assert found.shape == (3, 7, 5)
    assert found.dtype == torch.float32
    assert GrowSoften().run(torch.ones(1, 1), 3, 2.0)[0].eq(1).all()


def test_dust_neither_grows_nor_hides_a_hole():
    dusty = torch.where(ring() > 0, 0.9961, 1 / 255)
    shown = GrowSoften().run(dusty, 2, 0.0, fill_holes=True)
    assert torch.equal(shown["result"][0], GrowSoften().run(ring(), 2, 0.0, fill_holes=True)[0])
    assert "mask: 815 of 900 values lie below mask_threshold 0.1" in shown["ui"]["text"][0]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.zeros(1, 4, 4, 3), r"expected masks of shape \[batch, height, width\], found \(1, 4, 4, 3\)"),
        (torch.zeros(0, 4, 4), "expected masks of shape"),
        (torch.full((1, 4, 4), torch.nan), "NaN"),
        (None, "found NoneType"),
    ],
)
def test_bad_masks(mask, message):
    with pytest.raises(BadInput, match=message):
        GrowSoften().run(mask, 1, 1.0)


def test_masks_and_boxes_of_other_nodes_become_objects():
    image, mask = torch.rand(2, 30, 40, 3), torch.zeros(2, 30, 40)
    mask[0, 5:15, 4:12] = 1
    shown = FromMasks().run(image, mask, [[{"x": 4, "y": 5, "width": 8, "height": 10, "score": 0.5}], []], label="cat")
    objects, boxes, report = shown["result"]
    assert (objects.frames, objects.height, objects.width) == (2, 30, 40)
    assert boxes == [[{"x": 4, "y": 5, "width": 8, "height": 10, "label": "cat", "score": 0.5}], []]
    assert report == shown["ui"]["text"][0] == "image 0, object 0: cat, score 0.50, area 80 px, box 8 x 10 at 4, 5"
    assert torch.equal(ToMasks().run(objects, "one per image")[0], mask)
