"""The nodes of Trilemma/Detect: lists, files that change, and the chain from an image to a drawing."""

import pytest
import torch
from trilemma.host import Handle, standalone
from trilemma.models.errors import BadInput
from trilemma.models.pictures.packed import pack
from trilemma.models.values import Objects, SegmentedObject
from trilemma.nodes.detect import (
    DetectByText,
    DrawDetections,
    LoadDetections,
    LoadDetector,
    SaveDetections,
    SelectDetections,
)
from trilemma.tests.closeness import assert_close
from trilemma.tests.detection import tiny

pytestmark = pytest.mark.slow

STARTER = "starter emoji detector"


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setitem(standalone._places, "models", tmp_path)
    folder = tmp_path / "grounding-dino"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def starter() -> Handle:
    return LoadDetector().run(STARTER)[0]


def test_precision_is_part_of_what_took_a_score(starter):
    """An answer of another precision is not the same detector's."""
    other = LoadDetector().run(STARTER, precision="mixed bfloat16")[0]
    assert other.model.mixed and not starter.model.mixed
    assert other.model.identity != starter.model.identity


def choices() -> list[str]:
    return LoadDetector.INPUT_TYPES()["required"]["model"][0]


def test_starters_come_first_then_files_and_folders(models):
    (models / "mine.pth").write_bytes(b"")
    (models / "notes.txt").write_bytes(b"")
    (models / "sub").mkdir()
    (models / "sub" / "other.safetensors").write_bytes(b"")
    tiny.write_folder(models / "grounding-dino-tiny", state={"x": torch.zeros(1)})
    assert choices() == [STARTER, "grounding-dino-tiny", "mine.pth", "sub/other.safetensors"]
    assert all(LoadDetector.VALIDATE_INPUTS(name) is True for name in choices())


def test_missing_published_file_says_where_it_comes_from(models):
    message = LoadDetector.VALIDATE_INPUTS("groundingdino_swint_ogc.pth")
    assert "github.com/IDEA-Research/GroundingDINO" in message
    assert "693,997,677 bytes" in message and "3b3ca2563c77c69f" in message
    assert str(models) in message


def test_missing_unknown_file_names_the_choices(models):
    message = LoadDetector.VALIDATE_INPUTS("nothing.pth")
    assert STARTER in message and "groundingdino_swinb_cogcoor.pth" in message


def test_file_replaced_under_its_name_is_seen(models):
    folder = tiny.write_folder(models / "mine", state={"x": torch.zeros(1)})
    before = LoadDetector.IS_CHANGED("mine")
    assert LoadDetector.IS_CHANGED("mine") == before
    (folder / "model.safetensors").write_bytes(b"other")
    assert LoadDetector.IS_CHANGED("mine") != before
    assert LoadDetector.IS_CHANGED(STARTER) == LoadDetector.IS_CHANGED(STARTER)


def test_network_loads_under_the_hosts_inference_mode(models):
    folder = tiny.write_folder(models / "mine")
    (folder / "preprocessor_config.json").write_text('{"size": {"height": 128, "width": 128}}')
    with torch.inference_mode():
        (handle,) = LoadDetector().run("mine")
        (found,) = DetectByText().run(handle, torch.rand(1, 64, 64, 3), "cat")
    assert not any(weight.is_inference() for weight in handle.model.network.parameters())
    assert found.boxes.shape[0] == 1


def test_chain_keeps_the_batch(starter):
    image = torch.rand(3, 96, 128, 4)
    (found,) = DetectByText().run(starter, image, "cat . dog", batch_size=2)
    answer = SelectDetections().run(found, box_threshold=0.0, text_threshold=0.0, top_k=2)
    boxes, report = answer["result"]
    assert answer["ui"] == {"text": [report]}
    assert [len(of_image) for of_image in boxes] == [2, 2, 2]
    assert {box["label"] for of_image in boxes for box in of_image} <= {"cat", "dog"}
    (drawn,) = DrawDetections().run(image, boxes)
    assert drawn.shape == image.shape and drawn.dtype == torch.float32
    assert torch.equal(drawn[..., 3], image[..., 3])


def test_nothing_found_is_an_aligned_empty_result(starter):
    image = torch.rand(2, 64, 64, 3)
    (found,) = DetectByText().run(starter, image, "cat")
    boxes, report = SelectDetections().run(found, box_threshold=1.0, text_threshold=0.25)["result"]
    assert boxes == [[], []]
    assert report.count("nothing kept") == 2 and "box_threshold" in report
    assert torch.equal(DrawDetections().run(image, boxes)[0], image)


def test_batch_is_halved_when_memory_runs_out(starter, monkeypatch):
    sizes = []
    forward = type(starter.model.network).forward

    def frugal(self, pixel_values, **rest):
        sizes.append(len(pixel_values))
        if len(pixel_values) > 1:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return forward(self, pixel_values=pixel_values, **rest)

    image = torch.rand(4, 64, 64, 3)
    (expected,) = DetectByText().run(starter, image, "cat")
    monkeypatch.setattr(type(starter.model.network), "forward", frugal)
    (found,) = DetectByText().run(starter, image, "cat", batch_size=4)
    assert sizes == [4, 2, 1, 1, 1, 1]
    assert_close(found.boxes, expected.boxes)


def test_interrupt_stops_between_batches(starter):
    standalone.interrupt()
    with pytest.raises(standalone.Interrupted):
        DetectByText().run(starter, torch.rand(2, 64, 64, 3), "cat")


def test_bad_input_is_refused(starter):
    with pytest.raises(BadInput, match="prompt"):
        DetectByText().run(starter, torch.rand(1, 64, 64, 3), "")
    with pytest.raises(BadInput, match="NaN"):
        DetectByText().run(starter, torch.full((1, 64, 64, 3), float("nan")), "cat")
    for shape in [(0, 64, 64, 3), (1, 0, 64, 3)]:
        with pytest.raises(BadInput, match=r"image: the batch of shape .* is empty"):
            DetectByText().run(starter, torch.rand(shape), "cat")
    with pytest.raises(BadInput, match="2 lists of boxes for 3 images"):
        DrawDetections().run(torch.rand(3, 64, 64, 3), [[], []])


def test_smallest_image(starter):
    (found,) = DetectByText().run(starter, torch.rand(1, 1, 1, 3), "cat")
    assert (found.height, found.width) == (1, 1)


def test_masks_are_drawn_without_boxes():
    image = torch.rand(1, 8, 8, 3)
    assert torch.equal(DrawDetections().run(image)[0], image)
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[2:5, 2:5] = True
    objects = Objects((SegmentedObject(0, (2, 2, 3, 3), "a cat", 0.9, pack(mask)),), 1, 8, 8)
    (drawn,) = DrawDetections().run(image, objects=objects)
    assert torch.equal(drawn[0, ~mask], image[0, ~mask])
    assert not torch.equal(drawn[0, mask], image[0, mask])
    assert torch.equal(DrawDetections().run(image, [{"x": 1, "y": 1, "width": 0, "height": 0}])[0], image)


@pytest.mark.parametrize("kind", ["coco", "labelme"])
def test_detections_are_saved_and_loaded(tmp_path, monkeypatch, kind):
    monkeypatch.setitem(standalone._places, "output", tmp_path)
    mask = torch.zeros(30, 40, dtype=torch.bool)
    mask[4:9, 5:17] = True
    objects = Objects((SegmentedObject(1, (5.0, 4.0, 12.0, 5.0), "cat", 0.5, pack(mask)),), 2, 30, 40)
    save, load = SaveDetections, LoadDetections
    shown = save().run(objects, "notes/found", kind, "a.png\nb.png")
    place = shown["result"][0].splitlines()[0] if kind == "coco" else "notes/found_00001_"
    assert place.startswith("notes/found_00001_")
    before = load.IS_CHANGED("output", place)
    found, boxes, report = load().run(torch.rand(2, 30, 40, 3), "output", place, "a.jpg\nb.jpg")["result"]
    assert found.objects[0]._replace(mask=None) == objects.objects[0]._replace(mask=None)
    assert boxes[0] == [] and boxes[1][0]["label"] == "cat"
    assert report == "image 1, object 0: cat, score 0.50, area 60 px, box 12 x 5 at 5, 4"
    save().run(objects, "notes/found", kind, "a.png\nb.png")
    assert load.IS_CHANGED("output", place) == before
    with pytest.raises(BadInput, match="leads out of"):
        load().run(torch.rand(2, 30, 40, 3), "output", "../secret.json")
