"""The pack's JavaScript: its size, its tests by Node.js, and what it shares with Python."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.generators.directions.base import Directions
from trilemma.models.generators.directions.editing import read_mix
from trilemma.models.generators.walking import read_position
from trilemma.models.segmentation.prompts import read_boxes, read_prompts
from trilemma.nodes.common import kinds

HERE = Path(__file__).resolve().parent
WEB = HERE.parents[1] / "web"
KILOBYTES = 80
VALUES = json.loads((HERE / "values.json").read_text())
TYPES = {"array": list, "object": dict, "number": (int, float), "string": str}


def test_it_is_small():
    assert sum(path.stat().st_size for path in WEB.rglob("*.js")) < KILOBYTES * 1000


def test_every_style_is_of_a_panel_of_ours():
    """The page has one sheet for all extensions."""
    rules = re.findall(r"^(\S.*) \{", (WEB / "panels.css").read_text(), re.MULTILINE)
    assert rules
    assert all(part.strip().startswith(".trilemma-") for rule in rules for part in rule.split(","))


def test_its_own_tests():
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js to run the tests of web/")
    files = sorted(map(str, HERE.glob("*.test.mjs")))
    finished = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=300)
    assert files
    assert finished.returncode == 0, finished.stdout[-5000:]


@pytest.mark.parametrize("path", sorted(WEB.rglob("*.js")), ids=lambda path: path.name)
def test_modules_import_each_other_and_the_hosts_two(path):
    """The page imports every file by itself; those without the host's modules run in tests too."""
    for module in re.findall(r'^import .*"(.+)";$', path.read_text(), re.MULTILINE):
        host = path.parent == WEB and module in ("../../scripts/app.js", "../../scripts/api.js")
        assert host or (path.parent / module).is_file(), module


def test_every_kind_of_link_has_a_colour():
    """One of those that lib/colours.js names as free, for a new kind."""
    named = {value for name, value in vars(kinds).items() if name.isupper()}
    assert named == json.loads((WEB / "colours.json").read_text()).keys()


def fits(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a value is valid by those keywords of JSON Schema that our schemas use."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        return False
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    checks = [fits(entry, schema["items"], root) for entry in value] if "items" in schema else []
    if "anyOf" in schema:
        checks.append(any(fits(value, each, root) for each in schema["anyOf"]))
    checks += [key in value for key in schema.get("required", ())]
    checks += [fits(value[key], inner, root) for key, inner in schema.get("properties", {}).items() if key in value]
    if "minimum" in schema:
        checks.append(value >= schema["minimum"])
    if "exclusiveMinimum" in schema:
        checks.append(value > schema["exclusiveMinimum"])
    return all(checks)


def taken(kind: str, value: Any) -> bool:
    """Whether the node takes it, for two images of 64 x 64 pixels, or for directions of these names."""
    text = value if isinstance(value, str) and kind in ("position", "mix") else json.dumps(value)
    try:
        if kind == "position":
            read_position(text)
        elif kind == "mix":
            read_mix(Directions(("age", "sefa 1", "pose"), torch.zeros(3, 4), "w"), text)
        elif kind == "boxes":
            read_boxes(2, 64, 64, drawn_boxes=text)
        else:
            read_prompts(2, 64, 64, [[], []], positive_points=text)
    except BadInput:
        return False
    return True


@pytest.mark.parametrize("kind", VALUES)
def test_schema_and_python_agree_on_values(kind):
    """JavaScript is held to the same file, in drawing.test.mjs and explore.test.mjs."""
    schema = json.loads((WEB / "schemas" / f"{kind}.json").read_text())
    for expected, values in (True, VALUES[kind]["valid"]), (False, VALUES[kind]["invalid"]):
        assert [fits(value, schema, schema) for value in values] == [expected] * len(values)
        assert [taken(kind, value) for value in values] == [expected] * len(values)
