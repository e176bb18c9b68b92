"""Objects go into the files of annotation tools and come back, and masks are encoded as pycocotools does."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadInput, MissingFile
from trilemma.models.pictures.annotations import coco, labelme, rle, yolo
from trilemma.models.pictures.annotations.base import polygons
from trilemma.models.pictures.annotations.files import FORMATS, load, named, save
from trilemma.models.pictures.packed import area, pack, unpack
from trilemma.models.values import Objects, SegmentedObject

HEIGHT, WIDTH = 40, 60
SIZE = (2, HEIGHT, WIDTH)


def disc(y: float, x: float, radius: float) -> torch.Tensor:
    rows, columns = torch.arange(HEIGHT)[:, None], torch.arange(WIDTH)
    return (rows - y) ** 2 + (columns - x) ** 2 < radius**2


def some() -> Objects:
    found = (
        SegmentedObject(0, (3.25, 5.5, 20.0, 19.0), "cat", 0.875, pack(disc(15, 13, 9) & ~disc(15, 13, 3))),
        SegmentedObject(0, (30.0, 10.0, 12.0, 14.0), "", 1.0, pack(disc(17, 36, 6))),
        SegmentedObject(1, (0.0, 0.0, 60.0, 40.0), "big dog", 0.5, pack(torch.ones(HEIGHT, WIDTH, dtype=torch.bool))),
        SegmentedObject(1, (4.0, 4.0, 5.0, 5.0), "cat", 0.25, pack(torch.zeros(HEIGHT, WIDTH, dtype=torch.bool))),
    )
    return Objects(found, *SIZE)


def whole(mask) -> torch.Tensor:
    canvas = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    pixels = unpack(mask)
    canvas[mask.y : mask.y + pixels.shape[0], mask.x : mask.x + pixels.shape[1]] = pixels
    return canvas


# Of pycocotools 2.0.11: encode(np.asfortranarray(mask))["counts"], see `masks_of_pycocotools`.
PYCOCOTOOLS = (
    "d0",
    "0d0",
    "016000000000",
    "Sl1?X26J6L2M4M2M4M2N2N2N2O0O2N2O0O2N2O000O2O000O2O0000000000000000000000000001N10001N10001N2N101N2N101N2N2N2N3L3N3L3N4J6J^c2",
    "bU1a0U28J4L4L4L4M2M4M2N2N2N2N2N2N2O0O2N2O0O2OnNZO0e0LE0:ML030O00O20MO70H080HO:0FO<0C0?0@0`00@0`00@Ob00^O0b00^O0b00^O0b00^O0b00^OOd00\\O1b00^O0b00^O0b00^O0b00^O0b00^O1`00@0`00@0`00A0=0D1:0F180H080I130N10010M043F0;4[O0f0R11N101N2N101N2N2N2N2N2N2N3L3N3L4L4L4L6HPm1",
    "332NO01001OO0010O21N13NM0021NO00011OO131M0",
    "Vl8f24000000000000000",
    "coW?1\\bX?",
)


def masks_of_pycocotools() -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    rows, columns = np.mgrid[:90, :110]
    ring = np.hypot(rows - 40, columns - 50)
    return [
        np.zeros((5, 4), bool),
        np.ones((5, 4), bool),
        np.eye(6, dtype=bool),
        ring < 30,
        (ring < 38) & (ring > 17),
        rng.random((9, 8)) < 0.5,
        (rows > 3) & (columns > 100),
        np.pad(np.ones((1, 1), bool), ((699, 300), (499, 500))),
    ]


@pytest.mark.parametrize("number", range(8))
def test_runs_are_those_of_pycocotools(number):
    mask, text = masks_of_pycocotools()[number], PYCOCOTOOLS[number]
    assert rle.encode(torch.from_numpy(mask)) == text
    decoded = rle.decode({"size": list(mask.shape), "counts": text}, "it")
    assert np.array_equal(decoded.numpy(), mask)
    plain = {"size": list(mask.shape), "counts": rle.from_text(text)}
    assert np.array_equal(rle.decode(plain, "it").numpy(), mask)


def test_the_installed_pycocotools_agrees():
    oracle = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = rng.random(tuple(rng.integers(1, 60, 2))) < rng.random()
        expected = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert rle.encode(torch.from_numpy(mask)) == expected["counts"].decode()


@pytest.mark.parametrize("counts", ["", "5", "0d", "\x7f", "o", [3, 2], [-1, 21], None])
def test_broken_runs_are_told(counts):
    with pytest.raises(BadInput, match="annotation 3 has a mask whose runs do not make up its size"):
        rle.decode({"size": [5, 4], "counts": counts}, "annotation 3")


def test_a_coco_document_has_what_its_evaluators_read():
    document = json.loads(coco.to_json(named(some(), ["a.jpg", "b.jpg"])))
    assert [image["id"] for image in document["images"]] == [1, 2]
    assert document["images"][1] == {"id": 2, "file_name": "b.jpg", "height": HEIGHT, "width": WIDTH}
    assert [entry["id"] for entry in document["annotations"]] == [1, 2, 3, 4]
    assert [entry["image_id"] for entry in document["annotations"]] == [1, 1, 2, 2]
    names = {entry["id"]: entry["name"] for entry in document["categories"]}
    assert names == {1: "big dog", 2: "cat", 3: "object"}
    assert [names[entry["category_id"]] for entry in document["annotations"]] == ["cat", "object", "big dog", "cat"]
    first = document["annotations"][0]
    assert first["bbox"] == [3.25, 5.5, 20.0, 19.0]
    assert first["area"] == area(some().objects[0].mask)
    assert first["iscrowd"] == 0 and first["score"] == 0.875
    assert first["segmentation"]["size"] == [HEIGHT, WIDTH]


@pytest.mark.parametrize("names", [(), ("one.png", "two.jpg")])
def test_coco_brings_everything_back(tmp_path, names):
    (file,) = save(named(some(), names), tmp_path, "sub/objects", "coco")
    assert file == "sub/objects_00001_.json"
    loaded = load(tmp_path / file, SIZE, names)
    assert loaded.remarks == ()
    for before, after in zip(some().objects, loaded.objects.objects, strict=True):
        assert after._replace(mask=before.mask) == before._replace(label=before.label or "object")
        assert torch.equal(whole(after.mask), whole(before.mask))
    assert save(named(some(), names), tmp_path, "sub/objects", "coco") == ["sub/objects_00002_.json"]


def test_labelme_brings_masks_back(tmp_path):
    files = save(named(some(), ["one.png", "two.jpg"]), tmp_path, "objects", "labelme")
    assert files == ["objects_00001_/one.json", "objects_00001_/two.json"]
    loaded = load(tmp_path / "objects_00001_", SIZE, ["x/two.png", "one.png"]).objects
    assert [found.label for found in loaded.objects] == ["big dog", "cat", "cat", "object"]
    assert [found.score for found in loaded.objects] == [0.5, 0.25, 0.875, 1.0]
    for before, after in zip(some().objects[:2], loaded.objects[2:], strict=True):
        assert torch.equal(whole(after.mask), whole(before.mask))
    alone = load(tmp_path / files[0], (1, HEIGHT, WIDTH)).objects
    assert len(alone.objects) == 2


def test_yolo_brings_boxes_back(tmp_path):
    files = save(named(some(), ["one.png", "two.jpg"]), tmp_path, "objects", "yolo")
    assert files == ["objects_00001_/one.txt", "objects_00001_/two.txt", "objects_00001_/classes.txt"]
    text = (tmp_path / files[0]).read_text()
    assert text.splitlines()[1] == "2 0.600000 0.425000 0.200000 0.350000"
    loaded = load(tmp_path / "objects_00001_", SIZE, ["one.png", "two.png"]).objects
    for before, after in zip(some().objects, loaded.objects, strict=True):
        assert after.frame == before.frame
        assert after.label == (before.label or "object")
        assert after.box == pytest.approx(before.box, abs=1e-3)
    expected = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    expected[10:24, 30:42] = True
    assert torch.equal(whole(loaded.objects[1].mask), expected)


def test_peoples_own_annotations():
    """Polygons of COCO and LabelMe, outlines of YOLO: the same square of 10 x 10 pixels."""
    points = [10.0, 5.0, 20.0, 5.0, 20.0, 15.0, 10.0, 15.0]
    square = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    square[5:15, 10:20] = True
    document = {
        "images": [{"id": 9, "file_name": "x.jpg", "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 4, "name": "box"}],
        "annotations": [
            {"id": 0, "image_id": 9, "category_id": 4, "segmentation": [points], "bbox": [10, 5, 10, 10], "iscrowd": 0},
            {"id": 1, "image_id": 9, "category_id": 4, "bbox": [10, 5, 10, 10]},
            {"id": 2, "image_id": 9, "category_id": 4, "segmentation": {}, "bbox": [0, 0, 60, 40], "iscrowd": 1},
        ],
    }
    outlined, boxed = coco.read(document)[0].objects
    shape = {"label": "box", "shape_type": "polygon", "points": [points[:2], points[2:4], points[4:6], points[6:]]}
    corner = {"label": "box", "shape_type": "rectangle", "points": [points[4:6], points[:2]]}
    point = {"label": "dot", "shape_type": "point", "points": [[3, 4]]}
    mine = {"imagePath": "x.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": [shape, corner, point]}
    drawn, cornered = labelme.read(mine).objects
    shares = [value / (WIDTH if place % 2 == 0 else HEIGHT) for place, value in enumerate(points)]
    (shared,) = yolo.read("0 " + " ".join(map(str, shares)), "x", ["box"], HEIGHT, WIDTH).objects
    for found in (boxed, cornered, outlined, drawn, shared):
        assert torch.equal(whole(found.mask), square)
    for found in (outlined, boxed, drawn, cornered, shared):
        assert found.label == "box"
        assert found.box == pytest.approx((10, 5, 10, 10))


def test_what_does_not_fit_is_told(tmp_path):
    (file,) = save(named(some(), ["one.png", "two.png"]), tmp_path, "objects", "coco")
    path = tmp_path / file
    with pytest.raises(MissingFile, match=r"there is no 'none\.json'"):
        load(tmp_path / "none.json", SIZE)
    with pytest.raises(BadInput, match="has 2 images, and the batch 3"):
        load(path, (3, HEIGHT, WIDTH))
    with pytest.raises(BadInput, match="annotated at 60 x 40 pixels"):
        load(path, (2, HEIGHT, WIDTH + 1))
    with pytest.raises(BadInput, match="annotations for none of the images"):
        load(path, SIZE, ["three.png", "four.png"])
    with pytest.raises(BadInput, match="names: 1 name for 2 images"):
        load(path, SIZE, ["one.png"])
    assert load(path, SIZE, ["one.png", "four.png"]).remarks == ("no annotations for four.png",)
    with pytest.raises(BadInput, match="two images have the same name"):
        named(some(), ["a/x.png", "b/x.jpg"])
    with pytest.raises(BadInput, match="leads out of"):
        save(named(some(), ()), tmp_path, "../objects", "coco")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.json", "{", "is no JSON"),
        ("a.json", "[]", "of COCO's instances"),
        ("a.json", '{"images": []}', "lacks 'annotations'"),
        ("a.json", '{"shapes": []}', "lacks 'imagePath'"),
        ("a.txt", "cat 0.5 0.5 0.1 0.1", "line 1 of a.txt is no class"),
        ("a.txt", "0 0.5 0.5 0.1\n", "line 1 of a.txt is no class"),
        ("a.txt", "0 0.5 nan 0.1 0.1", "4 numbers are expected"),
    ],
)
def test_broken_files_are_told(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=words):
        load(tmp_path / name, (1, HEIGHT, WIDTH))


def one_of_coco(**changes):
    """A document of one image and one object; `annotation` and `image` change theirs, all else the document."""
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 5], **changes.pop("annotation", {})}
    image = {"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH, **changes.pop("image", {})}
    return {
        "images": [image],
        "annotations": [annotation],
        "categories": [{"id": 1, "name": "cat"}],
        **changes,
    }


def one_of_labelme(**shape):
    shape = {"label": "cat", "shape_type": "rectangle", "points": [[1, 1], [9, 9]], **shape}
    return {"imagePath": "a.png", "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": [shape]}


def loaded_of(folder, content, name="a.json", names=()):
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_bytes(text.encode())
    return load(folder / name, (1, HEIGHT, WIDTH), names)


def test_an_outline_holds_the_pixels_whose_centres_it_surrounds():
    """Against a ray from each centre; crossing itself, and beyond the borders."""
    outline = [(-7.3, 4.1), (50.2, 6.7), (9.4, 33.8), (31.7, -5.0), (44.1, 46.5), (3.3, 22.9)]
    expected = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    for y, x in itertools.product(range(HEIGHT), range(WIDTH)):
        for (x0, y0), (x1, y1) in zip(outline, [*outline[1:], outline[0]], strict=True):
            if (y0 <= y + 0.5) != (y1 <= y + 0.5) and x0 + (y + 0.5 - y0) * (x1 - x0) / (y1 - y0) < x + 0.5:
                expected[y, x] ^= True
    assert 200 < int(expected.sum()) < HEIGHT * WIDTH - 200
    assert torch.equal(whole(polygons([outline], HEIGHT, WIDTH)), expected)
    assert not area(polygons([[(100, 100), (200, 100), (200, 200)]], HEIGHT, WIDTH))
    assert (
        area(polygons([[(-1e30, -1e30), (1e30, -1e30), (1e30, 1e30), (-1e30, 1e30)]], HEIGHT, WIDTH)) == HEIGHT * WIDTH
    )


def test_what_others_write_otherwise(tmp_path):
    """Categories without names, ids as texts, lines of Windows, LabelMe's of before 3.0 and of its successors."""
    (unnamed,) = loaded_of(tmp_path, one_of_coco(categories=[])).objects.objects
    assert unnamed.label == "1"
    texts = one_of_coco(annotation={"image_id": "x", "category_id": "c", "score": None}, image={"id": "x"})
    (named_so,) = loaded_of(tmp_path, {**texts, "categories": [{"id": "c", "name": "cat"}]}).objects.objects
    assert (named_so.label, named_so.score) == ("cat", 1.0)
    (kept,) = loaded_of(tmp_path, one_of_coco(annotation={"iscrowd": "0"})).objects.objects
    assert kept.label == "cat"
    old = one_of_labelme(shape_type=None, label=None, points=[[10, 5], [20, 5], [20, 15], [10, 15]])
    turned = one_of_labelme(shape_type="rotation", points=[[10, 5], [20, 5], [20, 15], [10, 15]])
    for document, label in ((old, ""), (turned, "cat")):
        (found,) = loaded_of(tmp_path, document).objects.objects
        assert (found.label, area(found.mask)) == (label, 100)
    (tmp_path / "classes.txt").write_bytes(b"cat \r\n\r\nbig dog\r\n")
    text = "0 .5 .5 .2 .2\r\n1 .5 .5 .1 .1 .9\r\n2 .1 .1 .5 .1 .5 .5\r\n"
    assert [each.label for each in loaded_of(tmp_path, text, "a.txt").objects.objects] == ["cat", "1", "big dog"]


def test_a_folder_of_yolo_without_the_images_own_files(tmp_path):
    (tmp_path / "classes.txt").write_text("cat")
    for names in ((), ["one.png", "two.png"]):
        with pytest.raises(MissingFile, match=r"holds classes\.txt alone, .* but no \.txt file of any image"):
            load(tmp_path, SIZE, names)
    (tmp_path / "three.txt").write_text("0 .5 .5 .2 .2")
    with pytest.raises(BadInput, match=r"annotations for none of the images; it has three\."):
        load(tmp_path, SIZE, ["one.png", "two.png"])


def test_what_is_left_out_is_told(tmp_path):
    document = one_of_labelme(shape_type="line")
    document["shapes"] += [{"label": "x", "shape_type": kind, "points": [[1, 1]]} for kind in ("point", "line")]
    found = loaded_of(tmp_path, document)
    assert found.remarks == ("left out of a.png, as no objects: 2 x line, 1 x point",)
    crowd = {"iscrowd": 1, "segmentation": {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}}
    found = loaded_of(tmp_path, one_of_coco(annotation=crowd))
    assert (found.objects.objects, found.remarks) == ((), ("left out of a.png, as no objects: 1 x crowd",))


def test_images_of_one_name_are_told_apart_by_their_folders(tmp_path):
    both = one_of_coco(images=[{"id": 1, "file_name": f"{at}/a.png", "height": HEIGHT, "width": WIDTH} for at in "x"])
    both["images"].append({**both["images"][0], "id": 2, "file_name": "y/a.png"})
    assert len(loaded_of(tmp_path, both, names=["x/a.png"]).objects.objects) == 1
    assert not loaded_of(tmp_path, both, names=["y/a.png"]).objects.objects
    with pytest.raises(BadInput, match="2 images of the file are called 'a', such as"):
        loaded_of(tmp_path, both, names=["a.png"])


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("at", ["{}/a", "../../a", "..\\..\\a", "x/a.png"])
def test_names_never_lead_out_of_the_folder(tmp_path, kind, at):
    """Whatever folders a name has, with an ending or without: of the image the file has the name alone."""
    outside = tmp_path / "outside"
    outside.mkdir()
    objects = Objects(some().objects[:1], 1, HEIGHT, WIDTH)
    (first, *_) = save(named(objects, [at.format(outside)]), tmp_path / "output", "of/objects", kind)
    assert first.startswith("of/objects_00001_")
    assert kind == "coco" or first.rpartition("/")[2].rpartition(".")[0] == "a"
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} == {"outside", "output"}
    assert not list(outside.iterdir())


@pytest.mark.parametrize("kind", FORMATS)
def test_names_may_hold_full_stops(tmp_path, kind):
    names = ["frame.0001.png", "frame.0002.png"]
    files = save(named(some(), names), tmp_path, "objects", kind)
    path = tmp_path / (files[0] if kind == "coco" else "objects_00001_")
    assert [each.frame for each in load(path, SIZE, names).objects.objects] == [0, 0, 1, 1]


@pytest.mark.parametrize("name", ["", "..", " .png", "a\x00.png", "x" * 400 + ".png", "\ud800.png"])
def test_names_of_no_file_are_told(name):
    with pytest.raises(BadInput, match="is no name of a file"):
        named(some(), ["a.png", name])


def test_names_of_another_drive_are_refused(tmp_path):
    images = named(Objects((), 1, HEIGHT, WIDTH), ["C:a.png"])
    for kind in ("yolo", "labelme"):
        with pytest.raises(BadInput, match="has a colon, which on Windows"):
            save(images, tmp_path, "objects", kind)
    assert save(images, tmp_path, "objects", "coco") == ["objects_00001_.json"]


def test_yolo_holds_what_lies_in_the_image():
    beyond = some().objects[0]._replace(box=(-10.0, -10.0, 20.0, 2 * HEIGHT))
    (line,) = yolo.to_text(coco.Annotated("x", HEIGHT, WIDTH, (beyond,)), [beyond.label]).splitlines()
    assert line == f"0 {5 / WIDTH:.6f} 0.500000 {10 / WIDTH:.6f} 1.000000"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}], "in the place of an entry of COCO's"),
        (one_of_coco(images=None), "lacks 'images'"),
        (one_of_coco(images={}), "'images' of COCO's instances is no list"),
        (one_of_coco(annotations=["x"]), "has 'x' in the place of an entry"),
        (one_of_coco(annotation={"image_id": [1]}), r"'image_id' of COCO's instances is \[1\]"),
        (one_of_coco(annotation={"category_id": [1]}), "'category_id' of COCO's instances"),
        (one_of_coco(image={"id": {}}), "'id' of COCO's instances"),
        (one_of_coco(image={"height": None}), "lacks 'height'"),
        (one_of_coco(image={"height": math.inf}), "'height' of COCO's instances"),
        (one_of_coco(image={"height": 10**8}), "where 1 to 32768 pixels are expected"),
        (one_of_coco(image={"height": 0}), "where 1 to 32768 pixels are expected"),
        (
            one_of_coco(categories=[{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]),
            "'cat' and 'dog' have the same id",
        ),
        (one_of_coco(annotation={"bbox": [2, 3, -4, 5]}), "annotation 1 has a box of -4 x 5"),
        (one_of_coco(annotation={"bbox": "1234"}), "annotation 1 holds 1234, where 4 numbers"),
        (one_of_coco(annotation={"score": 87}), "annotation 1 has the score 87"),
        (one_of_coco(annotation={"segmentation": True}), "annotation 1 has 'True' where runs or outlines"),
        (one_of_coco(annotation={"segmentation": {"size": [10**7, 10**7], "counts": [10**14]}}), "another size"),
        (one_of_coco(annotation={"segmentation": {"size": [HEIGHT, WIDTH], "counts": [math.inf]}}), "whose runs"),
        (one_of_labelme(points=3), "'points' of LabelMe's files is no list"),
        (one_of_labelme(points=["12", "34"]), "shape 0 of a.png holds 12"),
        ({**one_of_labelme(), "shapes": None}, "lacks 'shapes'"),
        ({**one_of_labelme(), "imageHeight": math.inf}, "'imageHeight' of LabelMe's files"),
        ("[" * 100_000, "is no JSON"),
        ('{"images": ' + "9" * 5000 + "}", "is no JSON;"),
    ],
)
def test_broken_documents_are_told(tmp_path, content, words):
    with pytest.raises(BadInput, match=words):
        loaded_of(tmp_path, content)


def test_images_of_one_number_are_told(tmp_path):
    document = one_of_coco()
    document["images"].append({**document["images"][0], "file_name": "b.png"})
    with pytest.raises(BadInput, match="have the same id, 1; repair"):
        loaded_of(tmp_path, document)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\u00b2 .5 .5 .1 .1", "is no class"),
        ("9" * 5000 + " .5 .5 .1 .1", "is no class"),
        ("0 320 200 50 60", "shares of its size"),
        ("0 .5 .5 .1 .1 .9 17", "shares of its size"),
        ("0 .5 .5 -.1 .1", "has a box of -6 x 4"),
        ("0 .5 .5 .1 .1 87", "has the score 87"),
    ],
)
def test_broken_lines_are_told(tmp_path, text, words):
    with pytest.raises(BadInput, match=words):
        loaded_of(tmp_path, text, "a.txt")
