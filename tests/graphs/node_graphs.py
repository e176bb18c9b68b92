"""A graph around any node of the pack: what it needs is made by the cheapest node that makes it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from trilemma import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from trilemma.host import core_nodes
from trilemma.host.validation import Declared, choices, declared_inputs

Graph = dict[str, dict[str, Any]]

ROOT = Path(__file__).resolve().parents[2]
CLASSES: dict[str, type] = {**core_nodes.NODES, **NODE_CLASS_MAPPINGS}
TITLES: dict[str, str] = {**core_nodes.DISPLAY_NAMES, **NODE_DISPLAY_NAME_MAPPINGS}

SMALL: dict[str, Any] = {"width": 40, "height": 32, "batch_size": 1, "color": 0x804020}
GAN = "starter emoji stylegan2"
SOURCES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "IMAGE": ("EmptyImage", 0, SMALL),
    "MASK": ("SolidMask", 0, {"width": 40, "height": 32, "value": 1.0}),
    "A PICTURE": ("LoadImage", 0, {"image": "example.png"}),
    "A GAN": ("TrilemmaLoadGenerator", 0, {"model": GAN}),
    "A MODEL OF CODES": ("TrilemmaLoadGenerator", 0, {"model": "starter emoji vqvae transformer"}),
    "A MODEL OF FEATURES": ("TrilemmaLoadGenerator", 0, {"model": "starter emoji vqvae features"}),
    "A MODEL OF STEPS": ("TrilemmaLoadGenerator", 0, {"model": "starter emoji ddpm"}),
    "A MODEL OF PROMPTS": ("TrilemmaLoadGenerator", 0, {"model": "Stable_Diffusion_1_x/tiny.safetensors"}),
    "ITS LATENT": ("TrilemmaDrawLatents", 0, {"generator": "A GAN", "num_latents": 2}),
    "A CLASSIFIER": ("TrilemmaLoadFeatureExtractor", 0, {}),
    "TRILEMMA_DETECTOR": ("TrilemmaLoadDetector", 0, {}),
    "TRILEMMA_DETECTIONS": ("TrilemmaDetectByText", 0, {"prompt": "red circle"}),
    "TRILEMMA_SEGMENTER": ("TrilemmaLoadSegmenter", 0, {}),
    "TRILEMMA_EMBEDDING": ("TrilemmaEncodeImage", 0, {}),
    "TRILEMMA_LOGITS": ("TrilemmaSegment", 2, {"positive_points": '[{"x": 8, "y": 8}]'}),
    "TRILEMMA_OBJECTS": ("TrilemmaObjectsFromMasks", 0, {"mask": "MASK", "label": "dot"}),
    "TRILEMMA_INPAINTER": ("TrilemmaLoadInpainter", 0, {}),
    "TRILEMMA_CROPS": ("TrilemmaCropObjects", 2, {"mask": "MASK"}),
    "TRILEMMA_LORAS": ("TrilemmaLoadLoRA", 0, {}),
    "TRILEMMA_REGIONS": ("TrilemmaLoRARegion", 0, {}),
    "TRILEMMA_CONTROLNET": ("TrilemmaLoadControlNet", 0, {}),
    "TRILEMMA_GENERATOR": ("TrilemmaLoadGenerator", 0, {}),
    "TRILEMMA_EXTRACTOR": ("TrilemmaExtractorOfPixels", 0, {}),
    "TRILEMMA_LATENT": ("TrilemmaDrawLatents", 0, {"num_latents": 2}),
    "TRILEMMA_DIRECTIONS": ("TrilemmaLatentDirections", 0, {"generator": "A GAN"}),
    "TRILEMMA_CRITIC": ("TrilemmaClassCritic", 0, {"extractor": "A CLASSIFIER", "classes": "0"}),
    "TRILEMMA_INDEX": ("TrilemmaIndexFolder", 0, {"folder": "pictures"}),
    "TRILEMMA_FEATURES": ("TrilemmaFolderFeatures", 0, {"folder": "pictures", "kept_rows": 8}),
    "TRILEMMA_SCORES": ("TrilemmaScoreSharpness", 2, {"images": "A PICTURE", "reference": "A PICTURE"}),
    "TRILEMMA_PUBLISHED": ("TrilemmaPublishedScores", 0, {}),
    "TRILEMMA_LEADERBOARD": ("TrilemmaLeaderboard", 0, {"scores_1": "TRILEMMA_SCORES", "sort_by": "spectral_slope"}),
}
"""Kind of link -> node class, output, and inputs; one that is a kind of link is wired to its source."""

GIVEN: dict[str, dict[str, Any]] = {
    "TrilemmaLoadDetections": {"path": "notes.json"},
    "TrilemmaSegment": {"positive_points": '[{"x": 8, "y": 8}]'},
    "TrilemmaObjectsFromMasks": {"mask": "MASK"},
    "TrilemmaCropObjects": {"mask": "MASK"},
    "TrilemmaComposeLoRAs": {"inpainter": "TRILEMMA_INPAINTER"},
    "TrilemmaCondition": {"text": "0"},
    "TrilemmaConditionOnFeatures": {
        "generator": "A MODEL OF FEATURES",
        "image": "A PICTURE",
        "extractor": "A CLASSIFIER",
    },
    "TrilemmaSaveSamples": {"records": "[{}]"},
    "TrilemmaImageToImage": {"inpainter": "TRILEMMA_INPAINTER", "prompt": "a dot"},
    "TrilemmaGANOptions": {"generator": "A GAN"},
    "TrilemmaStyleMix": {"generator": "A GAN"},
    "TrilemmaLatentDirections": {"generator": "A GAN"},
    "TrilemmaEditLatent": {"generator": "A GAN", "latent": "ITS LATENT"},
    "TrilemmaApplyLoRAToGenerator": {"generator": "A MODEL OF PROMPTS"},
    "TrilemmaApplyControlNetToGenerator": {"generator": "A MODEL OF PROMPTS"},
    "TrilemmaAutoregressiveOptions": {"generator": "A MODEL OF CODES"},
    "TrilemmaCompleteImage": {"generator": "A MODEL OF CODES"},
    "TrilemmaDiffusionOptions": {"generator": "A MODEL OF STEPS"},
    "TrilemmaClassifierGuidance": {"generator": "A MODEL OF STEPS"},
    "TrilemmaShowStages": {"generator": "A MODEL OF STEPS"},
    "TrilemmaProjectImage": {"generator": "A GAN"},
    "TrilemmaLoadDirections": {"generator": "A GAN"},
    "TrilemmaClassCritic": {"extractor": "A CLASSIFIER", "classes": "0"},
    "TrilemmaStyleCritic": {"extractor": "A CLASSIFIER"},
    "TrilemmaImageCritic": {"extractor": "A CLASSIFIER"},
    "TrilemmaImageGrid": {"images_1": "IMAGE"},
    "TrilemmaLoadImages": {"path": "pictures", "resize": "crop"},
    "TrilemmaIndexFolder": {"folder": "pictures"},
    "TrilemmaFindNearestImages": {"image": "A PICTURE"},
    "TrilemmaImagesAsGenerator": {"folder": "pictures"},
    "TrilemmaFolderFeatures": {"folder": "pictures"},
    "TrilemmaMergeFeatures": {"features_1": "TRILEMMA_FEATURES"},
    "TrilemmaScoreSharpness": {"images": "A PICTURE", "reference": "A PICTURE"},
    "TrilemmaScoreGate": {"scores": "TRILEMMA_SCORES", "metric": "spectral_slope"},
    "TrilemmaScorePrompt": {"metadata": "records.jsonl"},
    "TrilemmaLeaderboard": {"scores_1": "TRILEMMA_SCORES", "sort_by": "spectral_slope"},
    "TrilemmaLiteratureTable": {"systems": "starter emoji vae", "num_images": 8},
    "TrilemmaDiagnoseGenerator": {"reference": "A GAN"},
    "TrilemmaSweep": {"option": "temperature", "values": "0.5, 1"},
}
"""What a node needs beside its defaults, to do something."""

FEW: dict[str, int] = {
    **dict.fromkeys(("width", "height", "resolution", "size"), 32),
    **dict.fromkeys(("num_images", "num_reference", "num_latents", "count", "samples", "frames", "cutouts"), 4),
    **dict.fromkeys(("steps", "points_per_side", "images_per_sample", "components", "shown", "num_shown"), 2),
    **dict.fromkeys(("kid_subsets", "kid_subset_size", "kept_rows", "batch_size"), 4),
}
"""Inputs that say how much is to be done, and how little of it is enough to run a node."""


def without_much_work(graph: Graph) -> Graph:
    """The same graph with few steps, images and pixels, as far as each input's limits go."""
    graph = copy.deepcopy(graph)
    for node in graph.values():
        declared = declared_inputs(CLASSES[node["class_type"]]) if node.get("class_type") in CLASSES else {}
        inputs = node.get("inputs")
        for name in FEW.keys() & declared.keys() & (inputs.keys() if isinstance(inputs, dict) else set()):
            value = inputs[name]
            if isinstance(value, int) and not isinstance(value, bool) and FEW[name] < value <= 100_000:
                inputs[name] = max(FEW[name], declared[name].options.get("min", 0))
    return graph


def graph_of(name: str, /, **given: Any) -> tuple[Graph, str]:
    """A graph that runs the node of this class, few of everything, and the node's id. given: values of its inputs."""
    graph: Graph = {}
    node_id = _add(graph, name, {**GIVEN.get(name, {}), **given}, {})
    if not getattr(CLASSES[name], "OUTPUT_NODE", False):
        graph["shown"] = _node("PreviewAny", {"source": [node_id, 0]})
    return without_much_work(graph), node_id


def ending_at(graph: Graph, node_id: str) -> Graph:
    """The node with all that it depends on, and something that shows it if it shows nothing itself."""
    kept: list[str] = []
    wanted = [node_id]
    while wanted:
        current = wanted.pop()
        if current not in kept and current in graph:
            kept.append(current)
            links = [value for value in graph[current].get("inputs", {}).values() if isinstance(value, list)]
            wanted += [link[0] for link in links if link and isinstance(link[0], str)]
    cut = {key: copy.deepcopy(node) for key, node in graph.items() if key in kept}
    if not getattr(CLASSES.get(cut[node_id]["class_type"]), "OUTPUT_NODE", False):
        cut["shown"] = _node("PreviewAny", {"source": [node_id, 0]})
    return cut


def example_graphs() -> dict[str, Graph]:
    """The graphs of examples, and of those that were released, that need no node but the pack's and its stand-ins."""
    files = [*(ROOT / "example_workflows/api").glob("*.json"), *(ROOT / "tests/workflows").glob("*/api/*.json")]
    graphs = {f"{file.parent.parent.name}/{file.stem}": json.loads(file.read_text()) for file in sorted(files)}
    known = {
        name: graph for name, graph in graphs.items() if all(node["class_type"] in CLASSES for node in graph.values())
    }
    return {name: without_much_work(graph) for name, graph in known.items()}


def _add(graph: Graph, name: str, given: dict[str, Any], made: dict[str, list[Any]]) -> str:
    """Adds a node and its sources. made: kind of link -> the link to the source that is there already."""
    inputs: dict[str, Any] = {}
    for key, spec in declared_inputs(CLASSES[name]).items():
        value = given.get(key)
        if key in given and not (isinstance(value, str) and value in SOURCES):
            inputs[key] = value
        elif key in given or spec.required:
            found = _value(graph, value if key in given else spec.type, spec, made)
            inputs.update({} if found is None else {key: found})
    node_id = str(len(graph) + 1)
    graph[node_id] = _node(name, inputs)
    return node_id


def _value(graph: Graph, kind: Any, spec: Declared, made: dict[str, list[Any]]) -> Any:
    listed = choices(spec)
    if listed is not None:
        return spec.options.get("default", listed[0] if listed else "no such model")
    if "default" in spec.options and kind == spec.type:
        return spec.options["default"]
    for each in str(kind).split(","):
        if each in SOURCES:
            source, output, inputs = SOURCES[each]
            if each not in made:
                made[each] = [_add(graph, source, inputs, made), output]
            return list(made[each])
    return None


def _node(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    return {"class_type": name, "inputs": inputs, "_meta": {"title": TITLES.get(name, name)}}
