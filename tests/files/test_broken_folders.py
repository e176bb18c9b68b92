"""Folders whose settings are damaged: an error that names the file, soon, whatever a library would say."""

import json
import time

import pytest
import torch
from torch import nn
from trilemma.models import weights
from trilemma.models.detection.loading import DETECTORS
from trilemma.models.errors import BadCheckpoint
from trilemma.models.generators.loading import GENERATORS
from trilemma.models.inpainting.loading import INPAINTERS
from trilemma.models.segmentation.loading import SEGMENTERS

FOLDERS = {
    "detector": (DETECTORS, "Grounding DINO in transformers' layout"),
    "segmenter": (SEGMENTERS, "SAM 2"),
    "inpainter": (INPAINTERS, "StableDiffusionInpaintPipeline"),
    "generator": (GENERATORS, "StableDiffusionPipeline"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}

    def find(kind):
        registry, name = FOLDERS[kind]
        if kind not in made:
            (family,) = (family for family in registry.families if family.name == name)
            made[kind] = family.tiny(tmp_path_factory.mktemp(kind))
        return registry, made[kind]

    return find


CHANGES = [
    ("detector", "config.json", ("encoder_layers",), 30_000),
    ("detector", "config.json", ("d_model",), 10**6),
    ("detector", "config.json", ("d_model",), "x"),
    ("detector", "config.json", ("backbone_config", "depths"), [30_000, 1, 1, 1]),
    ("detector", "config.json", ("text_config",), -1),
    ("detector", "preprocessor_config.json", ("size", "shortest_edge"), "x"),
    ("detector", "preprocessor_config.json", ("size", "longest_edge"), -1),
    ("segmenter", "config.json", ("mask_decoder_config",), None),
    ("segmenter", "config.json", ("mask_decoder_config", "num_hidden_layers"), 30_000),
    ("inpainter", "unet/config.json", ("layers_per_block",), 30_000),
    ("inpainter", "unet/config.json", ("layers_per_block",), []),
    ("inpainter", "unet/config.json", ("block_out_channels", 0), "x"),
    ("inpainter", "vae/config.json", ("norm_num_groups",), 0),
    ("inpainter", "text_encoder/config.json", ("num_hidden_layers",), 30_000),
    ("inpainter", "text_encoder/config.json", ("hidden_size",), None),
    ("inpainter", "scheduler/scheduler_config.json", ("num_train_timesteps",), 10**12),
    ("inpainter", "scheduler/scheduler_config.json", ("beta_schedule",), "x"),
    ("inpainter", "tokenizer/tokenizer_config.json", ("bos_token",), 5),
    ("inpainter", "model_index.json", ("unet",), 5),
    ("inpainter", "model_index.json", ("scheduler", 1), None),
    ("generator", "unet/config.json", ("sample_size",), None),
    ("generator", "unet/config.json", ("down_block_types",), None),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "file", "place", "value"), CHANGES, ids=lambda value: str(value)[:40])
def test_values_that_make_no_sense(folders, kind, file, place, value):
    registry, folder = folders(kind)
    path = folder / file
    whole = path.read_bytes()
    content = json.loads(whole)
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path.write_text(json.dumps(content))
    began = time.process_time()
    try:
        with pytest.raises(BadCheckpoint, match=path.name):
            registry.load(folder)
    finally:
        path.write_bytes(whole)
    # Networks of 30,000 layers take minutes.
    assert time.process_time() - began < 20


DAMAGES = {"cut": b"{", "list": b"[1]", "bytes": b"\xff\xfe{}", "deep": b"[" * 100_000, "empty": b""}
FILES = [
    ("detector", "config.json"),
    ("detector", "preprocessor_config.json"),
    ("segmenter", "config.json"),
    *(("inpainter", f"{part}/config.json") for part in ("unet", "vae", "text_encoder")),
    ("inpainter", "model_index.json"),
    ("inpainter", "scheduler/scheduler_config.json"),
    *(("inpainter", f"tokenizer/{name}") for name in ("vocab.json", "merges.txt", "tokenizer_config.json")),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", [b"{", b"[1]", b"\xff\xfe{}", b"[" * 100_000, b""], ids=["cut", "list", "bytes", "deep", "empty"]
)
@pytest.mark.parametrize(("kind", "file"), FILES)
def test_files_that_are_broken(folders, kind, file, damage):
    registry, folder = folders(kind)
    path = folder / file
    if path.suffix == ".txt" and damage in (b"{", b"[1]", b"", b"[" * 100_000):
        damage = b"\xff"
    if not path.exists():
        pytest.skip("this release of the library does not write it")
    whole = path.read_bytes()
    path.write_bytes(damage)
    try:
        with pytest.raises(BadCheckpoint, match=path.name):
            registry.load(folder)
    finally:
        path.write_bytes(whole)


@pytest.mark.slow
def test_a_byte_order_mark_is_no_damage(folders):
    registry, folder = folders("detector")
    path = folder / "config.json"
    whole = path.read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + whole)
    try:
        registry.load(folder)
    finally:
        path.write_bytes(whole)


def test_a_network_is_stopped_where_its_weights_end():
    with weights.bounded(4, 100, "x"):
        nn.Linear(4, 4), nn.Linear(4, 4)
    for parameters, elements in ((3, 100), (4, 30)):
        with (
            pytest.raises(BadCheckpoint, match=r"x: config\.json describes a network that is larger than its weights"),
            weights.bounded(parameters, elements, "x"),
        ):
            nn.Linear(4, 4), nn.Linear(4, 4)
    nn.Linear(100, 100)
    with weights.empty_weights(), pytest.raises(BadCheckpoint), weights.bounded(10, 10**6, "x"):
        nn.Linear(10**6, 10**6)
    assert torch.nn.Linear(2, 2).weight.numel() == 4
