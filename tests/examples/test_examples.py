"""The shipped examples: both forms say the same, seeds are fixed, and each runs headless and paints."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trilemma import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, headless
from trilemma.host import core_nodes, standalone, validation, workflow
from trilemma.models.files import catalog
from trilemma.models.scoring.extractors import photo_package
from trilemma.nodes.common.loading import ModelLoader
from trilemma.tests.examples import host_nodes

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "example_workflows"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.json"))
CLASSES = {**core_nodes.NODES, **host_nodes.CLASSES, **NODE_CLASS_MAPPINGS}
OF_PUBLISHED_FILES = ("text_to_image_gans", "vqgan_clip", "grounded_inpaint_photo", "trilemma")
"""Their files are the user's: test_text_to_image_example.py."""
TITLES = {**core_nodes.DISPLAY_NAMES, **host_nodes.TITLES, **NODE_DISPLAY_NAME_MAPPINGS}


def api_form(name):
    return json.loads((FOLDER / "api" / f"{name}.json").read_text())


def test_every_example_has_both_forms_and_a_thumbnail():
    assert EXAMPLES
    assert sorted(path.stem for path in (FOLDER / "api").glob("*.json")) == EXAMPLES
    assert sorted(path.stem for path in FOLDER.glob("*.jpg")) == EXAMPLES
    # The page's template browser shows squares, and cuts what is none.
    assert {width - height for width, height in (Image.open(path).size for path in FOLDER.glob("*.jpg"))} == {0}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_note_says_what_it_is(name):
    (note,) = (
        node for node in json.loads((FOLDER / f"{name}.json").read_text())["nodes"] if node["type"] == "MarkdownNote"
    )
    (text,) = note["widgets_values"]
    assert text.startswith(f"## {name}\n") and "**Change**" in text + "**Change**" * ("**First**" in text)
    assert "**Next**" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_pages_form_converts_to_the_api_form(name):
    pytest.importorskip("comfy_cli", reason="no comfy-cli to convert the page's form")
    graph, _ = workflow.read(FOLDER / f"{name}.json", CLASSES, TITLES)

    expected = api_form(name)
    assert graph.keys() == expected.keys()
    for node_id, node in expected.items():
        assert graph[node_id]["class_type"] == node["class_type"]
        assert graph[node_id]["inputs"] == node["inputs"]
        assert graph[node_id]["_meta"]["title"] == node["_meta"]["title"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_seeds_are_fixed(name):
    nodes = json.loads((FOLDER / f"{name}.json").read_text())["nodes"]
    controls = [value for node in nodes for value in node.get("widgets_values", []) if value in ("fixed", "randomize")]
    seeded = [node for node in api_form(name).values() if "seed" in node["inputs"]]
    assert controls == ["fixed"] * len(seeded)


ID = (str, int)
NULL = type(None)
"""The page's schema of saved workflows (`zComfyWorkflow` of its frontend, 1.45.21): key ->
types. Other keys are allowed; what is undefined in the page is left out, never null."""
SLOT = {"name": (str,), "type": (str, int, list)}
SCHEMAS = {
    "graph": {"last_node_id": ID, "last_link_id": (int,), "nodes": (list,), "links": (list,), "version": (int, float)},
    "node": {"id": ID, "type": (str,), "pos": (list,), "size": (list,), "flags": (dict,), "order": (int,),
             "mode": (int,), "properties": (dict,)},
    "inputs": {**SLOT, "link": (int, NULL)},
    "outputs": {**SLOT, "links": (list, NULL)},
}  # fmt: skip


def check(kind, value):
    for key, types in SCHEMAS[kind].items():
        assert isinstance(value[key], types) and not isinstance(value[key], bool), (kind, key, value)
    nulls = {key for key, entry in value.items() if entry is None} - {"link", "links"}
    assert not nulls, (kind, value)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_written_as_the_page_saves_it(name):
    graph = json.loads((FOLDER / f"{name}.json").read_text())
    check("graph", graph)
    for node in graph["nodes"]:
        check("node", node)
        for side in ("inputs", "outputs"):
            for slot in node.get(side, []):
                check(side, slot)
                assert type(slot.get("slot_index", 0)) is int
    linked = {slot["link"] for node in graph["nodes"] for slot in node.get("inputs", [])} - {None}
    assert linked == {link[0] for link in graph["links"]}
    assert all(len(link) == 6 for link in graph["links"])


def test_grounded_inpaint_shows_the_mask_of_what_it_repaints():
    """Of two objects one is kept: the mask that is shown is the kept one's, and the side is the crop's."""
    graph = api_form("grounded_inpaint")
    kept = next(node_id for node_id, node in graph.items() if node["class_type"] == "TrilemmaSelectObjects")
    (crop,) = (node["inputs"] for node in graph.values() if node["class_type"] == "TrilemmaCropObjects")
    (shown,) = (node["inputs"]["mask"] for node in graph.values() if node["class_type"] == "MaskToImage")

    assert graph[shown[0]]["class_type"] == "TrilemmaObjectsToMasks"
    assert graph[shown[0]]["inputs"]["objects"] == [kept, 0] == crop["objects"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_crops_have_the_side_that_is_said(name):
    graph = api_form(name)
    for node in graph.values():
        if node["class_type"] == "TrilemmaCropObjects" and "inpainter" in node["inputs"]:
            model = graph[node["inputs"]["inpainter"][0]]["inputs"]["model"]
            folder = catalog.starter_folder("inpainter", model)
            if folder is None:
                assert (model, node["inputs"]["resolution"]) == ("sd-v1-5-inpainting.safetensors", 512)
                continue
            unet = json.loads((folder / "unet" / "config.json").read_text())
            vae = json.loads((folder / "vae" / "config.json").read_text())
            assert node["inputs"]["resolution"] == unet["sample_size"] * 2 ** (len(vae["block_out_channels"]) - 1)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_link_and_value_fits(name, tmp_path, monkeypatch):
    """By ComfyUI's rules, with its own nodes as it describes them."""
    # A picture of this name comes with ComfyUI.
    monkeypatch.setitem(standalone._places, "input", tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "example.png")
    graph = api_form(name)
    for node in graph.values():
        if node["inputs"].get("model") == photo_package.NAME and photo_package.installed_file() is None:
            node["inputs"]["model"] = next(iter(catalog.starter_names("extractor")))
        loader = NODE_CLASS_MAPPINGS.get(node["class_type"])
        if name in OF_PUBLISHED_FILES and loader is not None and issubclass(loader, ModelLoader):
            node["inputs"]["model"] = next(iter(catalog.starter_names(loader.KIND)))
    validation.validate(graph, CLASSES)
    assert {node["class_type"] for node in graph.values()} - {*core_nodes.NODES, *NODE_CLASS_MAPPINGS} <= {
        *host_nodes.OBJECT_INFO
    }


def test_grounded_inpaint_native_repaints_by_the_hosts_own_nodes():
    """What is cut is what the host's nodes repaint, at the side of its model, and what they paint is stitched back; the
    page is told where the model is from."""
    graph = api_form("grounded_inpaint_native")

    def only(kind):
        (found,) = (node_id for node_id, node in graph.items() if node["class_type"] == kind)
        return found

    crop, conditioning, stitch = map(only, ("TrilemmaCropObjects", "InpaintModelConditioning", "TrilemmaStitchObjects"))
    assert graph[crop]["inputs"]["resolution"] == 512
    assert graph[conditioning]["inputs"]["pixels"] == [crop, 0]
    assert graph[conditioning]["inputs"]["mask"] == [crop, 1]
    assert graph[only("KSampler")]["inputs"]["latent_image"] == [conditioning, 2]
    assert graph[only("VAEDecode")]["inputs"]["samples"] == [only("KSampler"), 0]
    assert graph[stitch]["inputs"] == {"crops": [crop, 2], "image": [only("VAEDecode"), 0]}


@pytest.mark.parametrize("name", ["grounded_inpaint", "four_families", "leaderboard", "literature_table"])
def test_its_app_form_asks_for_widgets_and_shows_outputs_that_there_are(name):
    graph = json.loads((FOLDER / f"{name}.json").read_text())
    nodes = {node["id"]: node for node in graph["nodes"]}
    form = graph["extra"]["linearData"]
    for node_id, widget in form["inputs"]:
        assert widget in [slot["name"] for slot in nodes[node_id]["inputs"] if "widget" in slot]
    assert form["inputs"] and form["outputs"]
    assert {nodes[node_id]["type"] for node_id in form["outputs"]} <= {"SaveImage", "PreviewImage"}


PUBLISHED = {file.name: file for files in catalog.PUBLISHED.values() for file in files}


@pytest.mark.parametrize("name", ["grounded_inpaint_native", "grounded_inpaint_photo"])
def test_the_page_is_told_where_published_files_are_from(name):
    told = 0
    for node in json.loads((FOLDER / f"{name}.json").read_text())["nodes"]:
        for model in node["properties"].get("models", []):
            published = PUBLISHED[model["name"]]
            assert node["widgets_values"][0] == model["name"]
            assert (model["hash"], model["hash_type"]) == (published.sha256, "SHA256")
            if published.source.startswith("https://huggingface.co/"):
                # What the page offers to download (`isModelDownloadable` of its frontend).
                assert model["url"] == f"{published.source}/resolve/main/{published.name}"
                assert model["name"].endswith(".safetensors") and model["directory"] == "checkpoints"
            told += 1
    assert told == (3 if name == "grounded_inpaint_photo" else 1)


def test_grounded_inpaint_native_asks_for_comfyui_when_headless(tmp_path, capsys):
    assert headless.main([str(FOLDER / "api" / "grounded_inpaint_native.json"), "--output", str(tmp_path)]) == 2
    assert "this node is ComfyUI's own; run the graph with --comfyui PATH" in capsys.readouterr().err


@pytest.mark.slow
def test_grounded_inpaint_repaints_the_object_and_nothing_else(run):
    """The mushroom of the shipped scene is found, cut out, and painted over; its surroundings stay as they are."""
    outputs = run(FOLDER / "api" / "grounded_inpaint.json")
    assert "a mushroom" in outputs["4"]["text"][0]

    def picture(node_id):
        return np.asarray(Image.open(outputs[node_id]["images"][0]).convert("RGB"), dtype=int)

    before = np.asarray(Image.open(ROOT / "models/starter/scenes/garden.png").convert("RGB"), dtype=int)
    changed = (picture("18") != before).any(axis=2)
    mask = picture("16")[..., 0] > 127
    rows, columns = changed.nonzero()
    assert changed[mask & (np.arange(mask.shape[1]) > 192)].mean() > 0.9
    assert rows.min() > 192
    assert columns.min() > 192
