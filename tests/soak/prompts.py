"""The prompts of a soak: every example that needs none of the user's files, in turns, with its seeds moved."""

from __future__ import annotations

import itertools
import random

from trilemma.tests.comfyui.test_examples import APART, EXAMPLES, graph_of
from trilemma.tests.graphs.node_graphs import Graph

NAMES = tuple(path.stem for path in EXAMPLES if path not in APART)
SEEDS = ("seed", "first_seed")
SELDOM = {
    **dict.fromkeys(
        ("classifier_guidance", "known_truth", "leaderboard", "literature_table", "paper_table", "score_prompt"), 12
    ),
    **dict.fromkeys(("stylegan_walk", "trilemma_starters"), 12),
    **dict.fromkeys(("four_families", "lora_composer", "reconstruct", "score_edit", "sharpness"), 4),
    "with_and_without_grounding": 4,
}
"""Which, as they take longer than a second or two, are in every so many-th round alone."""
FEW_STEPS = 4


def order(count: int) -> list[str]:
    """Names of examples, the same on every machine: in rounds, of which the first has all of them, each in an order of
    its own."""
    rng = random.Random(0)
    names: list[str] = []
    for turn in itertools.count():
        if len(names) >= count:
            return names[:count]
        asked = [name for name in NAMES if turn % SELDOM.get(name, 1) == 0]
        names += rng.sample(asked, len(asked))


def moved(name: str, by: int) -> Graph:
    """The example with all its seeds moved alike, so that what it compares stays comparable, and ComfyUI's cache does
    not answer."""
    (path,) = (path for path in EXAMPLES if path.stem == name)
    graph = graph_of(path)
    for node in graph.values():
        inputs = node["inputs"]
        for key in SEEDS:
            if isinstance(inputs.get(key), int):
                inputs[key] += by
        if inputs.get("steps") == 0 and "spacing" in inputs:  # the model's own, which may be a thousand
            inputs["steps"] = FEW_STEPS
        if node["class_type"] == "TrilemmaSweep":
            inputs["num_images"] = 8
        if isinstance(inputs.get("seeds"), str):
            inputs["seeds"] = ", ".join(str(int(seed) + by) for seed in inputs["seeds"].split(","))
    return graph
