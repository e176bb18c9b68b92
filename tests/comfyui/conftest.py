"""Finds a real ComfyUI for the tests in this folder; without one they are skipped."""

import os
import subprocess
from pathlib import Path

import pytest
from trilemma.tests.comfyui import server

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(config, items):
    """Without a ComfyUI one skipped test stands for all of this folder, so that the report says it in one line."""
    here = [item for item in items if HERE in item.path.parents]
    if not here or server.comfyui_path() is not None:
        return
    reason = f"no ComfyUI at COMFYUI_PATH or ~/comfy/ComfyUI, so none of the {len(here)} tests against it"
    here[0].add_marker(pytest.mark.skip(reason=reason))
    items[:] = [item for item in items if item not in here[1:]]
    config.hook.pytest_deselected(items=here[1:])


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
