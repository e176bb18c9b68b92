"""What other people's tools for ComfyUI say of what we ship: `make test-peers`, which makes the environment they need.

    python -m trilemma.tests.peers PYTHON

PYTHON: of an environment with REQUIREMENTS. They read the descriptions of our nodes from a server of this process, as
they would from ComfyUI's. One line per tool and file; exits with 1 where one complains.

- comfy-lint: every example's API form against the descriptions, warnings count as errors;
- comfy-script: every example, in both forms, becomes a script;
- comfy-headless: every example's nodes are installed, and every link fits;
- picklescan: no file that is packed holds a pickle that it suspects.

`make test-peers` also runs the tests of published weights, those that package registries carry among them
(`published_packages`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from trilemma import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from trilemma.host import core_nodes
from trilemma.host.object_info import object_info
from trilemma.models.files import catalog
from trilemma.nodes.common.loading import ModelLoader
from trilemma.tests.examples import host_nodes

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ("comfy-lint==0.1.0", "comfy-script[default]==0.6.1", "comfy-headless==3.1.1", "picklescan==1.0.5")
PACKED = ("example_workflows", "host", "locales", "models", "nodes", "web")
HEADLESS = """
import json, sys
from comfy_headless.client import ComfyClient
client, workflow = ComfyClient(base_url=sys.argv[1]), json.load(open(sys.argv[2], encoding="utf-8"))
found, types = client.check_workflow_dependencies(workflow), client.check_workflow_types(workflow)
print(found["missing"], types)
sys.exit(bool(found["missing"] or not types["checked"] or types["errors"] or types["warnings"]))
"""


class Descriptions(BaseHTTPRequestHandler):
    """GET /object_info, of our nodes and of ComfyUI's own that the examples use; no embeddings."""

    def do_GET(self) -> None:
        classes = {**core_nodes.NODES, **NODE_CLASS_MAPPINGS}
        titles = {**core_nodes.DISPLAY_NAMES, **NODE_DISPLAY_NAME_MAPPINGS}
        described = {**object_info(classes, titles), **host_nodes.OBJECT_INFO}
        add_published(described)
        body = json.dumps(described if self.path.startswith("/object_info") else []).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def add_published(described: dict[str, Any]) -> None:
    """Let loaders list the published files that examples ask for, as where a user has them, and the picture that comes
    with ComfyUI."""
    described["LoadImage"]["input"]["required"]["image"][0].append("example.png")
    for path in (ROOT / "example_workflows" / "api").glob("*.json"):
        for node in json.loads(path.read_text(encoding="utf-8")).values():
            loader, chosen = NODE_CLASS_MAPPINGS.get(node["class_type"]), node["inputs"].get("model")
            if isinstance(chosen, str) and issubclass(loader, ModelLoader):
                listed = described[node["class_type"]]["input"]["required"]["model"][0]
                known = {file.name for file in catalog.PUBLISHED[loader.KIND]}
                if chosen not in listed and Path(chosen).name in known:
                    listed.append(chosen)


@contextmanager
def served() -> Iterator[str]:
    """The address of the descriptions."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Descriptions)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def without_notes(path: Path, folder: Path) -> Path:
    """The page's form as comfy-script reads it: 0.6.1 knows no notes, and advises to do without them."""
    graph = json.loads(path.read_text(encoding="utf-8"))
    graph["nodes"] = [node for node in graph["nodes"] if node["type"] != "MarkdownNote"]
    copy = folder / path.name
    copy.write_text(json.dumps(graph), encoding="utf-8")
    return copy


def commands(python: str, address: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """What is run: how its line begins, and the command. folder: for copies."""
    # Not resolved: an environment's Python is a link. The tools run in another folder than this one.
    python = str(Path(python).absolute())
    beside = Path(python).parent
    for path in sorted((ROOT / "example_workflows").glob("*.json")):
        api = path.parent / "api" / path.name
        yield f"comfy-lint      {api.stem}", [str(beside / "comfy-lint"), "--server", address, "--strict", str(api)]
        yield f"comfy-headless  {api.stem}", [python, "-c", HEADLESS, address, str(api)]
        for form in (path, api):
            read = api if form == api else without_notes(path, folder)
            script = [python, "-m", "comfy_script.transpile", str(read), "--api", f"{address}/"]
            yield f"comfy-script    {form.relative_to(path.parent)}", script
    for room in PACKED:
        yield f"picklescan      {room}", [str(beside / "picklescan"), "--path", str(ROOT / room)]


def main(python: str) -> int:
    """Runs every tool; 1 if one complains."""
    failed = 0
    with served() as address, tempfile.TemporaryDirectory() as empty:
        for title, command in commands(python, address, Path(empty)):
            finished = subprocess.run(command, capture_output=True, text=True, cwd=empty, timeout=300)
            failed += finished.returncode != 0
            print(title, "complains" if finished.returncode else "ok", flush=True)
            if finished.returncode:
                print(finished.stdout[-3000:], finished.stderr[-3000:], sep="\n")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
