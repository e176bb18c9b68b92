"""Objects of a video known by what the starter segmenter sees of them, where boxes alone go wrong."""

import pytest
import torch
import torch.nn.functional as F
from trilemma.models.errors import BadInput
from trilemma.models.files import catalog
from trilemma.models.pictures import example_scenes
from trilemma.models.pictures.packed import pack
from trilemma.models.pictures.tracking import track
from trilemma.models.segmentation import base
from trilemma.models.segmentation.appearance import appearances
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.values import Objects, SegmentedObject

pytestmark = pytest.mark.slow

SIZE = 64
EMOJI = {"cat": ("garden", 111, 284), "heart": ("night", 109, 107), "ball": ("picnic", 276, 280)}
"""The scene of each, and its middle there."""
Places = dict[str, tuple[int, int]]


def sprite(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """An emoji [SIZE, SIZE, 3] and its pixels, cut from a shipped scene, whose ground is the same along each row."""
    scene, x, y = EMOJI[name]
    picture = example_scenes.scene(scene)[0]
    drawn = (picture - picture[:, :1]).abs().amax(dim=2) > 0.04
    part = slice(y - 64, y + 64), slice(x - 64, x + 64)
    planes = torch.cat([picture[part].movedim(2, 0), drawn[part][None].float()])
    small = F.interpolate(planes[None], (SIZE, SIZE), mode="bilinear", antialias=True)[0]
    return small[:3].movedim(0, 2), small[3] > 0.5


@pytest.fixture(scope="module")
def segmenter():
    return load_segmenter(catalog.starter_folder("segmenter", "starter emoji segmenter"))


def film(*frames: Places) -> tuple[torch.Tensor, Objects]:
    """Frames of emoji by their middles, the later over the earlier, and the pixels that show of each."""
    sprites = {name: sprite(name) for name in EMOJI}
    pictures, objects = torch.tensor([0.3, 0.6, 0.4]).repeat(len(frames), 160, 240, 1), []
    for index, places in enumerate(frames):
        masks: dict[str, torch.Tensor] = {}
        for name, (x, y) in places.items():
            pixels, shown = sprites[name]
            part = slice(y - SIZE // 2, y + SIZE // 2), slice(x - SIZE // 2, x + SIZE // 2)
            full = torch.zeros(160, 240, dtype=torch.bool)
            full[part] = shown
            pictures[index][full] = pixels[shown]
            masks = {other: mask & ~full for other, mask in masks.items()} | {name: full}
        for mask in masks.values():
            packed = pack(mask)
            box = (float(packed.x), float(packed.y), float(packed.width), float(packed.bits.shape[0]))
            objects.append(SegmentedObject(index, box, "toy", 1.0, packed))
    return pictures, Objects(tuple(objects), len(frames), 160, 240)


def are_told_apart(names: list[str], tracked: Objects) -> bool:
    """Whether each emoji has one number, and none has another's."""
    pairs = {(name, each.label) for name, each in zip(names, tracked.objects, strict=True)}
    return len(pairs) == len(set(names)) == len({label for _, label in pairs})


CHANGING_PLACES = [
    {"cat": (60, 66), "heart": (170, 94)},
    {"cat": (104, 66), "heart": (126, 94)},
    {"cat": (128, 66), "heart": (102, 94)},
    {"cat": (170, 66), "heart": (60, 94)},
]
AWAY = [
    {"cat": (50, 50), "ball": (180, 90)},
    {"cat": (60, 50), "ball": (180, 90)},
    {"ball": (176, 92)},
    {"ball": (172, 94)},
    {"heart": (60, 50), "ball": (168, 94)},
    {"heart": (64, 50), "cat": (120, 118), "ball": (200, 94)},
]


@pytest.mark.parametrize("frames", [CHANGING_PLACES, AWAY], ids=["changing places", "away"])
def test_each_keeps_its_number_where_boxes_alone_go_wrong(segmenter, frames):
    pictures, objects = film(*frames)
    names = [name for places in frames for name in places]
    assert not are_told_apart(names, track(objects, min_iou=0.1))
    looks = appearances(segmenter, segmenter.encode(pictures), objects)
    assert are_told_apart(names, track(objects, min_iou=0.1, looks=looks))


def test_a_look_is_the_mean_of_the_embedding_inside_the_mask(segmenter):
    pictures, objects = film({"cat": (70, 70)})
    embedding = segmenter.encode(pictures)
    (look,) = appearances(segmenter, embedding, objects)
    rows, columns = torch.meshgrid(torch.arange(35), torch.arange(35), indexing="ij")
    near = ((columns + 0.5) * 240 / 35 - 70) ** 2 + ((rows + 0.5) * 240 / 35 - 70) ** 2 < 12**2
    middle = F.normalize(embedding.features[0][0][:, near].mean(dim=1), dim=0)
    assert float(look.norm()) == pytest.approx(1, abs=1e-5)
    assert float(look @ middle) > 0.98
    assert float(look @ F.normalize(embedding.features[0][0][:, :23].mean(dim=(1, 2)), dim=0)) < 0.9


def test_what_has_no_pixels_is_seen_in_its_box(segmenter):
    pictures, objects = film({"cat": (70, 70)})
    (cat,) = objects.objects
    empty = pack(torch.zeros(160, 240, dtype=torch.bool))
    both = objects._replace(objects=(cat._replace(mask=empty), cat._replace(mask=empty, box=(0.0, 0.0, 0.0, 0.0))))
    boxed, nowhere = appearances(segmenter, segmenter.encode(pictures), both)
    assert float(boxed.norm()) == pytest.approx(1, abs=1e-5)
    assert not nowhere.any()


def test_a_video_whose_embeddings_are_not_kept(segmenter, monkeypatch):
    pictures, objects = film({"cat": (50, 50)}, {}, {"cat": (60, 50), "heart": (170, 90)})
    steps = []
    expected = appearances(segmenter, segmenter.encode(pictures), objects)
    monkeypatch.setattr(base, "KEPT_BYTES", 1)
    embedding = segmenter.encode(pictures)
    assert embedding.kept == 1
    found = appearances(segmenter, embedding, objects, lambda done, preview=None: steps.append(done))
    assert steps == [1, 2, 3]
    torch.testing.assert_close(torch.stack(found), torch.stack(expected), rtol=1e-4, atol=1e-4)


def test_other_images(segmenter):
    pictures, objects = film({"cat": (50, 50)}, {"cat": (50, 50)})
    with pytest.raises(BadInput, match="embedding: it is of 1 images of 240 x 160 pixels"):
        appearances(segmenter, segmenter.encode(pictures[:1]), objects)
    with pytest.raises(BadInput, match="another segmenter"):
        appearances(segmenter, segmenter.encode(pictures)._replace(identity="other"), objects)
