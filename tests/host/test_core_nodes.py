"""ComfyUI's own nodes as the stand-in provides them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from trilemma.host import standalone
from trilemma.host.core_nodes import NEEDS_COMFYUI, NODES
from trilemma.host.graph import run
from trilemma.host.object_info import object_info
from trilemma.host.problems import InvalidGraph, NodeFailed


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("input", "output", "temp"):
        monkeypatch.setitem(standalone._places, name, tmp_path / name)
        (tmp_path / name).mkdir()
    return tmp_path


class Keep:
    """Hands a value out of the graph."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("*",)}}

    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, value):
        return {"ui": {"value": [value]}}


def outputs(class_type, count=1, **inputs):
    graph = {"1": {"class_type": class_type, "inputs": inputs}}
    for index in range(count):
        graph[f"keep{index}"] = {"class_type": "Keep", "inputs": {"value": ["1", index]}}
    shown = run(graph, {**NODES, "Keep": Keep})
    return [shown[f"keep{index}"]["value"][0] for index in range(count)]


def save(images, prefix="picture", **graph_options):
    class Source(Keep):
        RETURN_TYPES = ("IMAGE",)
        OUTPUT_NODE = False

        def run(self, value):
            return (images,)

    graph = {
        "1": {"class_type": "Source", "inputs": {"value": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }
    return graph, run(graph, {**NODES, "Source": Source}, **graph_options)["2"]["images"]


def test_load_image_gives_rgb_and_a_small_empty_mask(home):
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    Image.fromarray(pixels).save(home / "input" / "a.png")

    image, mask = outputs("LoadImage", 2, image="a.png")

    assert image.dtype == torch.float32
    assert torch.equal(image, torch.from_numpy(pixels)[None] / 255)
    assert torch.equal(mask, torch.zeros(1, 64, 64))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_the_mask(home, mode):
    pixels = np.full((2, 2, 4), 255, dtype=np.uint8)
    pixels[0, 0, 3] = 0
    Image.fromarray(pixels).convert(mode).save(home / "input" / "a.png")

    _, mask = outputs("LoadImage", 2, image="a.png")

    assert mask.tolist() == [[[1.0, 0.0], [0.0, 0.0]]]


def test_pictures_are_turned_upright_by_exif(home):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new("RGB", (4, 2)).save(home / "input" / "a.jpg", exif=exif)

    (image,) = outputs("LoadImage", image="a.jpg")

    assert image.shape == (1, 4, 2, 3)


def test_sixteen_bit_greys_keep_their_range(home):
    Image.fromarray(np.array([[0, 65535]], dtype=np.uint16)).save(home / "input" / "a.png")

    (image,) = outputs("LoadImage", image="a.png")

    assert image[0, 0, :, 0].tolist() == [0.0, 1.0]


def test_animations_become_batches(home):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "lime", "blue")]
    frames[0].save(home / "input" / "a.gif", save_all=True, append_images=frames[1:])

    image, mask = outputs("LoadImage", 2, image="a.gif")

    assert image.shape == (3, 4, 4, 3) and mask.shape[0] == 3
    assert image[:, 0, 0].round().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_names_may_lie_in_subfolders_and_name_another_folder(home):
    (home / "output" / "sub").mkdir()
    Image.new("RGB", (3, 1)).save(home / "output" / "sub" / "a.png")

    (image,) = outputs("LoadImage", image="sub/a.png [output]")

    assert image.shape == (1, 1, 3, 3)


@pytest.mark.parametrize("name", ["none.png", "../outside.png", ""])
def test_missing_and_escaping_pictures_are_refused_before_anything_runs(home, name):
    Image.new("RGB", (1, 1)).save(home / "outside.png")

    with pytest.raises(InvalidGraph, match=r"LoadImage \(#1, LoadImage\), input 'image'"):
        outputs("LoadImage", image=name)


def test_what_is_no_name_is_refused_where_it_runs(home):
    """The check before takes it for a wire."""
    with pytest.raises(NodeFailed, match="image: None is no name of a picture"):
        outputs("LoadImage", image={"__value__": None})


def test_load_image_mask_takes_a_channel(home):
    Image.new("RGBA", (1, 1), (255, 0, 51, 0)).save(home / "input" / "a.png")

    masks = {
        channel: outputs("LoadImageMask", image="a.png", channel=channel)[0] for channel in ("alpha", "red", "blue")
    }

    assert {channel: round(mask.item(), 3) for channel, mask in masks.items()} == {
        "alpha": 1.0,
        "red": 1.0,
        "blue": 0.2,
    }


def test_saved_pictures_count_on_and_read_back_exactly(home):
    images = torch.rand(2, 5, 7, 3)

    _, first = save(images, "sub/x")
    _, second = save(images, "sub/x")

    assert [image["filename"] for image in (*first, *second)] == [f"x_0000{n}_.png" for n in range(1, 5)]
    assert first[0] == {"filename": "x_00001_.png", "subfolder": "sub", "type": "output"}
    written = np.asarray(Image.open(home / "output" / "sub" / "x_00002_.png"))
    assert np.array_equal(written, (images[1] * 255).to(torch.uint8).numpy())


def test_saved_pictures_carry_the_graph(home):
    graph, (image,) = save(torch.zeros(1, 2, 2, 4), workflow={"nodes": [1]})

    text = Image.open(home / "output" / image["filename"]).text
    assert json.loads(text["prompt"]) == graph
    assert json.loads(text["workflow"]) == {"nodes": [1]}


def test_pictures_are_saved_inside_the_output_folder_only(home):
    with pytest.raises(Exception, match="leads out of"):
        save(torch.zeros(1, 2, 2, 3), "../x")
    assert not list(home.glob("*.png"))


def test_previews_go_to_the_temp_folder(home):
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 4, "height": 2, "batch_size": 1, "color": 0xFF0000}},
        "5:2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }

    (image,) = run(graph, NODES)["5:2"]["images"]

    assert image["type"] == "temp"
    assert Image.open(home / "temp" / image["filename"]).getpixel((3, 1)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("value", "text"), [("as it is", "as it is"), (1.5, "1.5"), ({"__value__": [True]}, "[\n    true\n]")]
)
def test_preview_any_shows_text(value, text):
    assert run({"1": {"class_type": "PreviewAny", "inputs": {"source": value}}}, NODES)["1"]["text"] == [text]


def test_masks_and_images_turn_into_each_other():
    graph = {
        "1": {"class_type": "SolidMask", "inputs": {"value": 0.25, "width": 3, "height": 2}},
        "2": {"class_type": "InvertMask", "inputs": {"mask": ["1", 0]}},
        "3": {"class_type": "MaskToImage", "inputs": {"mask": ["2", 0]}},
        "4": {"class_type": "ImageToMask", "inputs": {"image": ["3", 0], "channel": "green"}},
        "5": {"class_type": "Keep", "inputs": {"value": ["3", 0]}},
        "6": {"class_type": "Keep", "inputs": {"value": ["4", 0]}},
    }

    shown = run(graph, {**NODES, "Keep": Keep})

    assert torch.equal(shown["5"]["value"][0], torch.full((1, 2, 3, 3), 0.75))
    assert torch.equal(shown["6"]["value"][0], torch.full((1, 2, 3), 0.75))


def test_a_channel_that_the_image_lacks_is_an_error():
    with pytest.raises(Exception, match="channel 'alpha' of an image with 3 channels"):
        NODES["ImageToMask"]().run(torch.zeros(1, 2, 2, 3), "alpha")


def test_no_node_is_both_provided_and_left_to_comfyui():
    assert not NEEDS_COMFYUI & set(NODES)


def test_object_info_describes_the_classes_as_the_server_does(home):
    info = object_info(NODES, {"SaveImage": "Save Image"})

    assert set(info) == set(NODES)
    assert info["SaveImage"]["display_name"] == "Save Image"
    assert info["SaveImage"]["output_node"] is True
    assert info["SaveImage"]["input_order"]["required"] == ["images", "filename_prefix"]
    assert info["LoadImage"]["output"] == ["IMAGE", "MASK"]
    assert info["LoadImage"]["output_is_list"] == [False, False]
    json.dumps(info)
