"""The nodes of Trilemma/Segment, run by the stand-in host on a small network."""

import json

import pytest
import torch
from trilemma import host
from trilemma.host import standalone
from trilemma.host.image_reading import read_image
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.pictures.objects import union as unite
from trilemma.models.segmentation import hq_sam, sam2
from trilemma.models.segmentation.prompts import read_prompts
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.closeness import is_close
from trilemma.tests.segmentation import tiny

pytestmark = pytest.mark.slow

STARTER = "starter emoji segmenter"
Load, Encode, Segment, Everything = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"] for name in ("LoadSegmenter", "EncodeImage", "Segment", "SegmentEverything")
)
CAT = {"x": 2, "y": 2, "width": 30, "height": 20, "label": "cat", "score": 0.8}
DOG = {"x": 40, "y": 10, "width": 20, "height": 25, "label": "dog", "score": 0.6}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A models folder with a small network, a broken file and one of another architecture."""
    root = tmp_path_factory.mktemp("models")
    (root / "sams" / "sub").mkdir(parents=True)
    file = tiny.save(tiny.build(), root / "sams")
    file.rename(root / "sams" / "sub" / "tiny.safetensors")
    (root / "sams" / "broken.pth").write_bytes(b"not weights")
    torch.save({"Mixed_5b.branch1x1.conv.weight": torch.zeros(1)}, root / "sams" / "other.pth")
    return root


@pytest.fixture(autouse=True)
def folders(models, monkeypatch):
    monkeypatch.setitem(standalone._places, "models", models)


@pytest.fixture
def segmenter(folders):
    return Load().run("sub/tiny.safetensors")[0]


@pytest.fixture
def embedding(segmenter):
    return Encode().run(segmenter, torch.rand(2, 40, 70, 4, generator=torch.Generator().manual_seed(0)))[0]


def test_starters_come_first():
    names = Load.INPUT_TYPES()["required"]["model"][0]
    assert names == [STARTER, "broken.pth", "other.pth", "sub/tiny.safetensors"]
    assert all(Load.VALIDATE_INPUTS(name) is True for name in names)


@pytest.mark.parametrize(
    "said",
    [
        "segment_anything/sam_vit_b_01ec64.pth (375,042,383 bytes",
        "segment_anything_2/092824/sam2.1_hiera_tiny.pt (156,008,466 bytes",
    ],
)
def test_a_missing_published_file(said):
    message = Load.VALIDATE_INPUTS(said.split("/")[-1].split()[0])
    assert f"https://dl.fbaipublicfiles.com/{said}" in message
    assert "sams" in message


def test_a_folder_of_transformers(tmp_path, monkeypatch):
    (tmp_path / "sams").mkdir()
    sam2.tiny(tmp_path / "sams")
    monkeypatch.setitem(standalone._places, "models", tmp_path)
    assert Load.INPUT_TYPES()["required"]["model"][0] == [STARTER, "tiny"]
    (loaded,) = Load().run("tiny")
    assert loaded.model.architecture == "SAM 2"
    (embedding,) = Encode().run(loaded, torch.rand(2, 40, 70, 3))
    objects, mask, *_ = Segment().run(loaded, embedding, [[CAT, DOG], []], positive_points='[{"x": 10, "y": 12}]')
    assert [found.label for found in objects.objects] == ["cat", "dog"]
    assert mask.shape == (2, 40, 70)


def test_the_finer_part_of_hq_sam_alone(tmp_path, monkeypatch):
    (tmp_path / "sams").mkdir()
    name = hq_sam.tiny(tmp_path / "sams").name
    monkeypatch.setitem(standalone._places, "models", tmp_path)
    (both,), (alone,) = Load().run(name), Load().run(name, hq_only=True)
    (embedding,) = Encode().run(both, torch.rand(1, 40, 70, 3, generator=torch.Generator().manual_seed(1)))
    summed, finer = (Segment().run(each, embedding, [[CAT]])[2].values for each in (both, alone))
    (prompt,) = read_prompts(1, 40, 70, [[CAT]])
    with torch.no_grad():
        expected, _ = both.model.decode(embedding, 0, [prompt], three=False, hq_only=True)
    assert torch.equal(finer, expected[:, 0])
    assert not is_close(summed, finer, 1e-3)


def test_no_other_segmenter_has_a_finer_part():
    with pytest.raises(BadInput, match="hq_only: SAM has no finer part, which HQ-SAM alone has"):
        Load().run("sub/tiny.safetensors", hq_only=True)


def test_what_was_chosen_of_a_file_is_shown(models):
    """On a node without an info output, too."""
    network = tiny.build().state_dict()
    torch.save({"model": network, "model_ema": network}, models / "sams" / "averaged.pth")
    shown = Load().run("averaged.pth")
    (loaded,) = shown["result"]
    assert shown["ui"]["text"] == ["took the EMA weights (model_ema) of 2 networks (model, model_ema) in the file"]
    assert list(loaded.model.notes) == shown["ui"]["text"]
    (models / "sams" / "averaged.pth").unlink()


def test_a_replaced_file_is_seen(models):
    path = models / "sams" / "changing.pth"
    path.write_bytes(b"one")
    before = Load.IS_CHANGED("changing.pth")
    assert Load.IS_CHANGED("changing.pth") == before
    path.write_bytes(b"another")
    assert Load.IS_CHANGED("changing.pth") != before
    path.unlink()


@pytest.mark.parametrize(
    ("name", "message"), [("broken.pth", "it is a text file"), ("other.pth", "holds an Inception-v3 network")]
)
def test_files_that_are_no_segmenter(name, message):
    with pytest.raises(BadCheckpoint, match=message):
        Load().run(name)


def test_the_handle_holds_every_network(segmenter):
    assert isinstance(segmenter, host.Handle)
    assert len(segmenter.patchers) == 3


def test_boxes_to_objects_and_mask(segmenter, embedding):
    objects, mask, *_ = Segment().run(segmenter, embedding, [[CAT, DOG], []])
    assert [(found.frame, found.label, found.score) for found in objects.objects] == [(0, "cat", 0.8), (0, "dog", 0.6)]
    assert mask.shape == (2, 40, 70)
    assert mask.dtype == torch.float32
    assert mask[0].any()
    assert not mask[1].any()


def test_points_to_objects(segmenter, embedding):
    objects, mask, *_ = Segment().run(
        segmenter, embedding, positive_points='[{"x": 20, "y": 20}]', mask_choice="largest"
    )
    assert [found.frame for found in objects.objects] == [0, 1]
    assert mask.flatten(1).any(dim=1).all()


def test_one_segment_corrects_another(segmenter, embedding):
    first, _, logits, _ = Segment().run(segmenter, embedding, [[CAT, DOG], []])
    points = '[{"x": 10, "y": 12}]'
    found, *_ = Segment().run(segmenter, embedding, [[CAT, DOG], []], points, logits=logits)
    plain, *_ = Segment().run(segmenter, embedding, [[CAT, DOG], []], points)
    assert [each.label for each in found.objects] == [each.label for each in first.objects]
    assert logits.values.shape[0] == 2
    assert not torch.equal(unite(found), unite(plain))


def test_drawn_boxes_come_after_the_connected_ones(segmenter, embedding):
    drawn = {"x": 5, "y": 5, "width": 20, "height": 20}
    objects, _, _, boxes = Segment().run(segmenter, embedding, [[CAT, DOG], []], drawn_boxes=json.dumps([drawn]))
    assert boxes == [[CAT, DOG, drawn], [drawn]]
    assert [(found.frame, found.label) for found in objects.objects] == [(0, "cat"), (0, "dog"), (0, ""), (1, "")]
    (alone, *_, asked) = Segment().run(segmenter, embedding, drawn_boxes=json.dumps([[], [drawn]]))
    assert asked == [[], [drawn]]
    assert is_close(unite(alone)[1], unite(objects)[1], 1e-6)


def test_without_boxes_the_output_is_empty(segmenter, embedding):
    assert Segment().run(segmenter, embedding, positive_points='[{"x": 10, "y": 12}]')[3] == [[], []]


def test_the_page_gets_a_small_copy_of_the_first_image(segmenter, tmp_path, monkeypatch):
    monkeypatch.setitem(standalone._places, "temp", tmp_path)
    images = torch.rand(2, 40, 70, 3)
    (shown,) = Encode().run(segmenter, images, extra_pnginfo={"workflow": {}})["ui"]["trilemma_images"]
    assert (shown["type"], shown["width"], shown["height"]) == ("temp", 70, 40)
    pixels, _ = read_image(tmp_path / shown["filename"])
    assert torch.equal(pixels[0].mul(255).round(), images[0].mul(255).round())


def test_no_detections_at_all(segmenter, embedding):
    objects, mask, *_ = Segment().run(segmenter, embedding, [[], []])
    assert objects == ((), 2, 40, 70)
    assert mask.shape == (2, 40, 70)
    assert not mask.any()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "neither boxes nor points"),
        ({"boxes": {**CAT, "x": 500}}, "lies outside the image of 70 x 40 pixels"),
        ({"boxes": [[CAT]] * 3}, "3 lists of boxes for 2 images"),
        ({"positive_points": "20, 20"}, "expected JSON .* found 20, 20"),
        ({"drawn_boxes": "20, 20"}, "drawn_boxes: expected JSON .* found 20, 20"),
    ],
)
def test_bad_prompts(segmenter, embedding, inputs, message):
    with pytest.raises(BadInput, match=message):
        Segment().run(segmenter, embedding, **inputs)


def test_everything(segmenter, embedding):
    objects, mask = Everything().run(segmenter, embedding, 3, 0.0, 0.0, 1.0)
    assert {found.frame for found in objects.objects} == {0, 1}
    assert mask.shape == (2, 40, 70)


def test_a_pixel_and_a_broken_image(segmenter):
    embedding = Encode().run(segmenter, torch.rand(1, 1, 1, 3))[0]
    objects, mask, *_ = Segment().run(segmenter, embedding, {"x": 0, "y": 0, "width": 1, "height": 1})
    assert len(objects.objects) == 1
    assert mask.shape == (1, 1, 1)
    with pytest.raises(BadInput, match="NaN"):
        Encode().run(segmenter, torch.full((1, 8, 8, 3), torch.nan))


def test_no_images_at_all(segmenter):
    with pytest.raises(BadInput, match=r"image: the batch of shape .* is empty"):
        NODE_CLASS_MAPPINGS["TrilemmaEncodeImage"]().run(segmenter, torch.rand(0, 64, 64, 3))


def test_an_interrupt_stops_between_images(segmenter):
    standalone.interrupt()
    with pytest.raises(standalone.Interrupted):
        Encode().run(segmenter, torch.rand(2, 8, 8, 3))
