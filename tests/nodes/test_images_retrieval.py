"""Index Folder and Find Nearest Images, on the smallest extractor."""

import json

import pytest
import torch
from PIL import Image
from trilemma import host
from trilemma.host import standalone
from trilemma.models.errors import BadInput, CannotDo, MissingFile
from trilemma.models.scoring.extractors.host_extractor import HostExtractor
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.scoring.toy import Toy, pictures

IndexFolder, Find = (NODE_CLASS_MAPPINGS[f"Trilemma{name}"] for name in ("IndexFolder", "FindNearestImages"))


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for name in ("input", "output"):
        monkeypatch.setitem(standalone._places, name, tmp_path / name)
        (tmp_path / name).mkdir()
    (tmp_path / "input" / "set").mkdir()
    for number, pixels in enumerate(pictures(6)):
        Image.fromarray(pixels.numpy()).save(tmp_path / "input" / "set" / f"{number}.png")


def handle(**changes):
    toy = Toy(**changes)
    return host.hold(toy, toy.modules)


def indexed(folder="set", extractor=None, **settings):
    with torch.inference_mode():
        return IndexFolder().run("input", folder, extractor or handle(), **settings)["result"]


def found(index, count=2, **settings):
    with torch.inference_mode():
        return Find().run(index, count, **settings)["result"]


def test_a_picture_finds_itself_and_its_kin():
    index, count, report = indexed()
    assert count == 6 and "6 pictures of set, 6 features by toy" in report
    batch = pictures(6)[[3, 1]] / 255
    images, names, data, text = found(index, 2, image=batch)
    assert images.shape == (4, 4, 4, 3)
    torch.testing.assert_close(images[0], batch[0])
    torch.testing.assert_close(images[2], batch[1])
    told = json.loads(data)
    assert [query["query"] for query in told] == ["image 0", "image 1"]
    assert [query["pictures"][0]["name"] for query in told] == ["3.png", "1.png"]
    assert told[0]["pictures"][0]["score"] == pytest.approx(1, abs=1e-6)
    assert names.split("\n") == [each["name"] for query in told for each in query["pictures"]]
    assert "1.0000  3.png" in text


def test_itself_can_be_left_out():
    index, _, _ = indexed()
    _, names, _, _ = found(index, 5, image=pictures(6)[:1] / 255, other_than_itself=True)
    assert sorted(names.split("\n")) == ["1.png", "2.png", "3.png", "4.png", "5.png"]


def test_more_than_there_are_gives_all_in_order_of_likeness():
    index, _, _ = indexed()
    _, names, data, _ = found(index, 1000, image=pictures(6)[:1] / 255)
    scores = [each["score"] for each in json.loads(data)[0]["pictures"]]
    assert len(names.split("\n")) == 6
    assert scores == sorted(scores, reverse=True)


def test_pictures_of_several_sizes_become_one(tmp_path):
    Image.new("RGB", (9, 5), (200, 0, 0)).save(tmp_path / "input" / "set" / "wide.png")
    index, _, _ = indexed()
    images, _, _, _ = found(index, 7, image=pictures(6)[:1] / 255, width=8, height=6)
    assert images.shape == (7, 6, 8, 3)
    with pytest.raises(BadInput, match="resize: "):
        found(index, 7, image=pictures(6)[:1] / 255, resize="none")


def test_nothing_and_both_are_refused():
    index, _, _ = indexed()
    with pytest.raises(BadInput, match="image, prompt: neither is given"):
        found(index, 2, prompt="  \n")
    with pytest.raises(BadInput, match="image, prompt: both are given"):
        found(index, 2, prompt="a cat", image=pictures(1) / 255)


def test_only_a_clip_reads_words():
    index, _, _ = indexed()
    with pytest.raises(BadInput, match="prompt: the index was made by toy, which knows no words"):
        found(index, 2, prompt="a cat")
    clip = HostExtractor("CLIP", "1", 4, 3, lambda x: x.mean(dim=(1, 2)), lambda n: n, {"layer": "projection"})
    index, _, _ = indexed(extractor=host.Handle(clip, ()))
    with pytest.raises(BadInput, match="clip: it is missing"):
        found(index, 2, prompt="a cat")
    with pytest.raises(CannotDo, match="only ComfyUI runs its CLIP"):
        found(index, 2, prompt="a cat", clip=object())


@pytest.mark.parametrize("folder", ["..", "../output", "/", ""])
def test_paths_that_lead_out_are_refused(folder):
    with pytest.raises(BadInput, match="folder: "):
        indexed(folder)


def test_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "input" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="by a link"):
        indexed("link")


def test_a_folder_without_pictures_is_told(tmp_path):
    (tmp_path / "input" / "empty").mkdir()
    with pytest.raises(MissingFile, match="holds no picture"):
        indexed("empty")
    with pytest.raises(MissingFile, match="there is no folder"):
        indexed("nowhere")


def test_the_index_lies_in_the_output_folder_and_follows_the_pictures(tmp_path):
    toy = Toy()
    held = host.hold(toy, toy.modules)
    before = IndexFolder.IS_CHANGED("input", "set")
    indexed(extractor=held)
    assert list((tmp_path / "output" / "trilemma" / "cache" / "index").glob("*.rows"))
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "input" / "set" / "new.png")
    assert IndexFolder.IS_CHANGED("input", "set") != before
    _, count, report = indexed(extractor=held)
    assert count == 7 and sum(toy.batches) == 7
    assert "read: 1, looked at by the network: 1, known: 6, gone: 0" in report
