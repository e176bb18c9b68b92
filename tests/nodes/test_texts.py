"""Texts that Python itself stumbles over, in every input that takes a text: a result, or a sentence of ours."""

import json
import os
import random

import pytest
from trilemma.host import standalone
from trilemma.host.validation import choices, declared_inputs
from trilemma.tests.graphs import mutations, running, world
from trilemma.tests.graphs.node_graphs import CLASSES, graph_of
from trilemma.tests.places.sandbox import PLACES

pytestmark = pytest.mark.slow

LONG = "9" * 400
"""More than a float can hold."""
LONGER = "9" * 5000
"""More digits than Python reads."""
TEXTS = [LONGER, f"0-{LONGER}", f"[{LONG}]", "[" * 20_000, json.dumps([{"x": 10**400, "y": 1}])]
TEXTS += [
    f'[{{"x": 1, "y": 1, "width": {LONG}, "height": 2}}]',
    f'{{"tag": "counting", "include": [{{"class": "dot", "count": {LONG}}}]}}',
]
FEW = 200
"""Characters of a text that a failure of the test shows."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    before, here = dict(standalone._places), os.getcwd()
    root = tmp_path_factory.mktemp("texts")
    world.prepare(root, with_models=False)
    world.use(root)
    os.chdir(root)
    yield root
    os.chdir(here)
    standalone._places.update(before)


def texts_of(name):
    """Inputs that take a text and name no place, which `tests/places` asks."""
    return [
        key
        for key, spec in declared_inputs(CLASSES[name]).items()
        if spec.type == "STRING" and choices(spec) is None and key not in PLACES
    ]


@pytest.mark.parametrize("name", sorted(name for name in CLASSES if texts_of(name)))
def test_a_text_that_python_stumbles_over_is_told(name, folder):
    unclear = []
    for key in texts_of(name):
        for text in random.Random(f"{name} {key}").sample(TEXTS, 2):
            case = mutations.Case(0, name, json.dumps(graph_of(name, **{key: text})[0]), (), False)
            outcome = running.run(case, folder)
            if outcome.kind not in running.CLEAR:
                unclear.append((key, text[:20], outcome.kind, outcome.error, outcome.text[:FEW], outcome.trace[-1000:]))
    assert not unclear
