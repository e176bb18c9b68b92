"""The rules that hold the house together: the layers' arrows, a light import, public names that never change."""

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from trilemma.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "models": {"host", "nodes", "training", "headless"},
    "host": {"models", "nodes", "training", "headless"},
    "nodes": {"training", "headless"},
    "training": {"host", "nodes", "headless"},
}
SHARED = {"host": {"models.errors", "models.files.paths"}}
"""What lies beyond an arrow: both sides of the seam raise the pack's few kinds of failure, and keep to its places."""
HEAVY = {"diffusers", "transformers", "segment_anything", "matplotlib", "torchvision", "torchmetrics", "scipy", "ray"}
NODES = sorted(NODE_CLASS_MAPPINGS)
MENUS = {node.CATEGORY for node in NODE_CLASS_MAPPINGS.values()}


@cache
def syntax(path: Path) -> list[ast.AST]:
    """All nodes of a file's syntax; each file is parsed once."""
    return list(ast.walk(ast.parse(path.read_text())))


def imported_modules(path: Path) -> set[str]:
    """Modules of the pack that a file imports from, by relative import or as `trilemma.<module>`, from the root on.

    `from . import name` counts as the module `name`, and so does `from ..models import name` as `models.name`.
    """
    modules = set()
    depth = len(path.relative_to(ROOT).parts) - 1
    for node in syntax(path):
        if not isinstance(node, ast.ImportFrom):
            continue
        parts = (node.module or "").split(".") if node.module else []
        if node.level > depth:
            inside = parts
        elif not node.level and parts[:1] == ["trilemma"]:
            inside = parts[1:]
        else:
            continue
        modules |= {".".join(inside)} if len(inside) > 1 else {".".join([*inside, alias.name]) for alias in node.names}
    return modules


@pytest.mark.parametrize("room", FORBIDDEN)
def test_no_layer_reaches_around_another(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        beyond = imported_modules(path) - SHARED.get(room, set())
        assert not {module.split(".")[0] for module in beyond} & FORBIDDEN[room], path


def test_what_layers_share_stands_alone():
    """On Python's own library, and on the errors."""
    for module in {module for modules in SHARED.values() for module in modules}:
        path = ROOT / f"{module.replace('.', '/')}.py"
        for node in syntax(path):
            if isinstance(node, ast.Import):
                assert {each.name.split(".")[0] for each in node.names} <= sys.stdlib_module_names, path
            elif isinstance(node, ast.ImportFrom):
                known = {"errors"} if node.level else sys.stdlib_module_names | {"__future__"}
                assert node.module and node.module.split(".")[0] in known, path


def test_node_files_do_not_import_each_other():
    for path in (ROOT / "nodes").glob("*.py"):
        if path.stem == "__init__":
            continue
        for node in syntax(path):
            beside = isinstance(node, ast.ImportFrom) and node.level == 1
            assert not beside or node.module.startswith("common"), path


def writes(call: ast.Call) -> bool:
    """Whether a call makes a file, or begins one, by itself."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    modes = [*call.args[1:2], *(each.value for each in call.keywords if each.arg == "mode")]
    opens = name == "open" and any(
        isinstance(mode, ast.Constant) and set(str(mode.value)) & set("wax+") for mode in modes
    )
    return opens or name in {"write_text", "write_bytes", "PngInfo", "NamedTemporaryFile", "mkstemp"}


def test_files_are_written_in_one_place():
    """Whole or not at all: by models/files/atomic.py; host/ has ComfyUI's Save Image, which cannot import it."""
    expected = {"models/files/atomic.py", "models/pictures/png.py", "host/core_nodes.py"}
    found = set()
    for room in ("models", "host", "nodes"):
        for path in (ROOT / room).rglob("*.py"):
            calls = [node for node in syntax(path) if isinstance(node, ast.Call)]
            found |= {path.relative_to(ROOT).as_posix()} if any(map(writes, calls)) else set()
    assert found == expected


def test_kinds_of_links_and_menus_are_written_once():
    for path in (ROOT / "nodes").rglob("*.py"):
        if path.name in ("kinds.py", "menus.py"):
            continue
        texts = [node.value for node in syntax(path) if isinstance(node, ast.Constant)]
        assert not [text for text in texts if str(text).startswith("TRILEMMA_") or text in MENUS], path


@pytest.mark.parametrize("name", NODES)
def test_node_files_are_named_by_their_menu(name):
    node = NODE_CLASS_MAPPINGS[name]
    menu = node.__module__.rpartition(".")[2].partition("_")[0]
    assert menu == node.CATEGORY.removeprefix("Trilemma/").lower()


def test_only_the_seam_imports_the_host():
    seam = {
        ROOT / "host" / file for file in ("comfyui.py", "sampling.py", "clip.py", "vision.py", "boot.py", "executor.py")
    }
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).parts
        if path in seam or parts[0] in {".venv", "tests"}:
            continue
        for node in syntax(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            assert not any(name.split(".")[0] in {"comfy", "folder_paths", "comfy_execution"} for name in names), path


@pytest.mark.slow
def test_import_is_light():
    script = (
        "import sys; before = set(sys.modules);"
        "import trilemma;"
        "print('\\n'.join(sorted({name.split('.')[0] for name in set(sys.modules) - before})))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "trilemma" in loaded
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize("name", NODES)
def test_node_describes_itself(name):
    node = NODE_CLASS_MAPPINGS[name]
    words = NODE_DISPLAY_NAME_MAPPINGS[name].split("(")[0].split()
    assert name == "Trilemma" + "".join(word[0].upper() + word[1:] for word in words if word.isalnum())
    assert node.CATEGORY.startswith("Trilemma/")
    assert node.DESCRIPTION
    assert node.SEARCH_ALIASES
    assert len(node.RETURN_TYPES) == len(node.RETURN_NAMES) == len(node.OUTPUT_TOOLTIPS)
    assert callable(getattr(node, node.FUNCTION))
    for section in ("required", "optional"):
        for field, spec in node.INPUT_TYPES().get(section, {}).items():
            assert spec[1].get("tooltip"), field
            # Left to itself, the page gives an unconnected box of its own making.
            assert spec[0] != "BOUNDING_BOX" or spec[1].get("forceInput"), field


def interface(node: type) -> dict:
    """What saved workflows depend on: inputs by name and socket, outputs by order."""
    sections = {key: value for key, value in node.INPUT_TYPES().items() if key != "hidden"}
    return {
        "inputs": {
            field: "COMBO" if isinstance(spec[0], list) else spec[0]
            for section in sections.values()
            for field, spec in section.items()
        },
        "outputs": [list(pair) for pair in zip(node.RETURN_NAMES, node.RETURN_TYPES, strict=True)],
    }


def test_public_names_are_kept():
    """Every id, input and output of a released version is still there (`make names` adds new ones)."""
    released = json.loads((ROOT / "tests" / "fixtures" / "public_names.json").read_text())
    now = {name: interface(node) for name, node in NODE_CLASS_MAPPINGS.items()}
    for name, then in released.items():
        assert then["inputs"].items() <= now[name]["inputs"].items(), name
        assert now[name]["outputs"][: len(then["outputs"])] == then["outputs"], name
    assert now.keys() == released.keys(), "new nodes: write the fixture anew"


def write_public_names() -> None:
    """Write the fixture anew: `make names`, after something was added."""
    names = {name: interface(node) for name, node in sorted(NODE_CLASS_MAPPINGS.items())}
    (ROOT / "tests" / "fixtures" / "public_names.json").write_text(json.dumps(names, indent=2) + "\n")
