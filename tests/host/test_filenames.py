"""The tokens of file names, as ComfyUI's server (get_save_image_path) and page (applyTextReplacements) fill them in."""

import json
import time

import pytest
import torch
from trilemma import NODE_CLASS_MAPPINGS
from trilemma.host import core_nodes, standalone
from trilemma.host.filenames import filled
from trilemma.tests.host.graph_nodes import node

NOW = time.strptime("2026-03-07 09:05:02", "%Y-%m-%d %H:%M:%S")
GRAPH = {
    "1": node("EmptyImage", "Blank", width=8, height=4, batch_size=1, color=255),
    "2": node("KSampler", "First", cfg=7.0, denoise=0.5, sampler_name="a/b:c", latent_image=["1", 0], add=True),
    "3": node("KSampler", "Second", cfg=3, none=None),
    "4": {"class_type": "SaveImage", "inputs": {}, "_meta": None},
}
PAGE_FORM = {"nodes": [{"id": 3, "properties": {"Node name for S&R": "Blank"}}]}


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("x", "x"),
        ("%width%x%height%", "64x32"),
        ("%year%-%month%-%day%/%hour%%minute%%second%", "2026-03-07/090502"),
        ("%date:yyyy-MM-dd%/%date:hhmmss%", "2026-03-07/090502"),
        ("%date:yy M d h m s%", "26 3 7 9 5 2"),
        ("%date:yyyy/MM%", "2026/03"),
        ("%date:yyy HH AM%", "yyy HH A3"),
        ("%date:yyyy.MM%", "%date:yyyy.MM%"),
        ("%date:%", ""),
        ("%Blank.width%", "8"),
        ("%First.cfg%_%First.denoise%_%First.add%", "7_0.5_true"),
        ("%First.sampler_name%", "a_b_c"),
        ("%KSampler.cfg%", "7"),
        ("%Second.none%", ""),
        ("%First.latent_image%", "%First.latent_image%"),
        ("%First.nothing%", "%First.nothing%"),
        ("%Nobody.width%", "%Nobody.width%"),
        ("%a.b.c%", "%a.b.c%"),
        ("100%_%seed%", "100%_%seed%"),
    ],
)
def test_tokens(prefix, name):
    assert filled(prefix, 64, 32, GRAPH, None, NOW) == name


def test_a_nodes_name_in_the_page_comes_before_titles():
    assert filled("%Blank.cfg%", 64, 32, GRAPH, PAGE_FORM, NOW) == "3"


def test_without_a_graph_the_servers_are_filled_in():
    assert filled("%width%_%Blank.width%", 64, 32, None, None, NOW) == "64_%Blank.width%"


@pytest.mark.parametrize("saver", ["SaveImage", "TrilemmaSaveSamples"])
def test_savers_fill_them_in(tmp_path, monkeypatch, saver):
    monkeypatch.setitem(standalone._places, "output", tmp_path)
    pictures = torch.zeros(2, 4, 8, 3)
    arguments = {} if saver == "SaveImage" else {"records": json.dumps([{}, {}])}
    node_class = {**core_nodes.NODES, **NODE_CLASS_MAPPINGS}[saver]

    prefix = "%width%x%height%/%Blank.color%_%date:yyyy%_%year%"
    shown = node_class().run(images=pictures, filename_prefix=prefix, prompt=GRAPH, **arguments)

    year = time.localtime().tm_year
    names = [f"255_{year}_{year}_0000{number}_.png" for number in (1, 2)]
    assert [image["filename"] for image in shown["ui"]["images"]] == names
    assert sorted(file.name for file in (tmp_path / "8x4").iterdir()) == names
