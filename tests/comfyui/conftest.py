"""Finds a real ComfyUI for the tests in this folder; without one they are skipped."""

import os
import subprocess
from pathlib import Path

import pytest
from trilemma.tests.comfyui import page, server

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(config, items):
    """Without a ComfyUI one skipped test stands for all of this folder, and without a browser for all of the page, so
    that the report says it in one line."""
    here = [item for item in items if HERE in item.path.parents]
    of_page = [item for item in here if "page" in item.fixturenames]
    if server.comfyui_path() is None:
        stand_in(
            config, items, here, "no ComfyUI at COMFYUI_PATH or ~/comfy/ComfyUI, so none of the {} tests against it"
        )
    elif missing := page.missing():
        stand_in(config, items, of_page, f"no {missing}, so none of the {{}} tests of ComfyUI's page")


def stand_in(config, items, those, reason):
    """The first of `those`, skipped, in place of all of them."""
    if those:
        those[0].add_marker(pytest.mark.skip(reason=reason.format(len(those))))
        items[:] = [item for item in items if item not in those[1:]]
        config.hook.pytest_deselected(items=those[1:])


@pytest.fixture(scope="session")
def comfyui():
    """Path of the ComfyUI checkout."""
    return server.comfyui_path()


@pytest.fixture(scope="session")
def live(comfyui, tmp_path_factory):
    """A running server with the pack and the test nodes of `steps_pack`."""
    with server.running(comfyui, tmp_path_factory.mktemp("comfyui"), (HERE / "steps_pack",)) as running:
        yield running


@pytest.fixture(scope="session")
def probed(comfyui, tmp_path_factory):
    """Answers of `probes.py`, all asked in one process of ComfyUI: {probe: answer}."""
    base = tmp_path_factory.mktemp("probes")
    path = server.as_trilemma(base)
    # The bytecode that every start but the first finds, whatever the environment says of writing it.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, "PYTHONPYCACHEPREFIX": str(base / "bytecode")}
    sources = [str(path / "trilemma" / name) for name in ("__init__.py", "host", "models", "nodes")]
    python = server.comfyui_python(comfyui)
    subprocess.run([python, "-m", "compileall", "-q", *sources], check=True, timeout=300, env=environment)
    return server.answers(comfyui, "probes.py", base, environment)
