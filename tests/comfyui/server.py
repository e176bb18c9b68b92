"""A real ComfyUI server for tests, started with a base folder of its own, and a client of its API."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PACK = Path(__file__).resolve().parents[2]
START_SECONDS = 600


def comfyui_path() -> Path | None:
    """The checkout at COMFYUI_PATH, else ~/comfy/ComfyUI, if there is one."""
    path = Path(os.environ.get("COMFYUI_PATH", "~/comfy/ComfyUI")).expanduser()
    return path.resolve() if (path / "comfy" / "model_management.py").is_file() else None


def comfyui_python(checkout: Path) -> str:
    """COMFYUI_PYTHON, else the Python of a virtual environment in or beside the checkout, else this one."""
    beside = [checkout / ".venv/bin/python", checkout / "venv/bin/python", checkout.parent / "venv/bin/python"]
    found = [str(python) for python in beside if python.exists()]
    return os.environ.get("COMFYUI_PYTHON") or (found or [sys.executable])[0]


def frontend() -> list[str]:
    """What has ComfyUI serve the page of TRILEMMA_FRONTEND, the folder of its index.html, instead of its own."""
    folder = os.environ.get("TRILEMMA_FRONTEND")
    return ["--front-end-root", str(Path(folder).expanduser().resolve(strict=True))] if folder else []


def as_trilemma(base: Path) -> Path:
    """A folder below `base` which, on the path of ComfyUI's Python, makes the pack importable as `trilemma` there."""
    folder = base / "path"
    if not folder.exists():
        folder.mkdir()
        (folder / "trilemma").symlink_to(PACK, target_is_directory=True)
    return folder


def answers(checkout: Path, probes: str, base: Path, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """What a file of probes beside this one prints when ComfyUI's Python runs it: {probe: answer}.

    `environment`: the process's variables, PYTHONPATH aside, if not those of this one.
    """
    variables = dict(os.environ) if environment is None else environment
    command = [comfyui_python(checkout), str(Path(__file__).parent / probes), str(checkout), str(base)]
    variables = {**variables, "PYTHONPATH": str(as_trilemma(base))}
    finished = subprocess.run(command, capture_output=True, text=True, timeout=900, env=variables)
    assert finished.returncode == 0, finished.stderr[-5000:]
    return json.loads(finished.stdout.splitlines()[-1])


@contextlib.contextmanager
def running(checkout: Path, base: Path, packs: tuple[Path, ...] = (), ours: bool = True) -> Iterator[Server]:
    """A server on the CPU with `packs` and, if `ours`, this pack as its only custom nodes.

    All its files are below `base`.
    """
    for folder in ("custom_nodes", "input", "output", "temp", "user", "models"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    for name, pack in [("ComfyUI-Trilemma", PACK)] * ours + [(pack.name, pack) for pack in packs]:
        (base / "custom_nodes" / name).symlink_to(pack, target_is_directory=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [comfyui_python(checkout), "main.py", "--cpu", "--port", str(port), "--base-directory", str(base)]
    command += ["--disable-api-nodes", "--database-url", "sqlite:///:memory:", *frontend()]
    log = base / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=checkout, stdout=out, stderr=subprocess.STDOUT)
    server = Server(f"127.0.0.1:{port}", base, log)
    try:
        server.wait_until_up(process)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass
class Run:
    """What a client sees of one prompt: its events in order, the previews (image bytes), and its history entry;
    `cancelled_at` is the progress value on which it pressed cancel."""

    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    previews: list[bytes] = field(default_factory=list)
    history: dict[str, Any] = field(default_factory=dict)
    cancelled_at: int | None = None

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.events]

    @property
    def outputs(self) -> dict[str, Any]:
        return self.history["outputs"]

    def data(self, kind: str) -> list[dict[str, Any]]:
        return [data for event, data in self.events if event == kind]


class Refused(Exception):
    """The server did not take the request; `answer` is its JSON."""

    def __init__(self, status: int, answer: Any) -> None:
        self.answer = answer
        super().__init__(f"{status}: {json.dumps(answer)[:2000]}")


class Server:
    def __init__(self, address: str, base: Path, log: Path) -> None:
        self.address = address
        self.base = base
        self.log = log

    def wait_until_up(self, process: subprocess.Popen) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"ComfyUI ended while it started:\n{self.log.read_text()[-3000:]}")
            with contextlib.suppress(OSError):
                self.get("/queue")
                return
            time.sleep(0.3)
        raise RuntimeError(f"ComfyUI was not up after {START_SECONDS} s:\n{self.log.read_text()[-3000:]}")

    def get(self, path: str) -> Any:
        return self._request(urllib.request.Request(f"http://{self.address}{path}"))

    def post(self, path: str, body: Any) -> Any:
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return self._request(urllib.request.Request(f"http://{self.address}{path}", data, headers))

    def free(self) -> None:
        """Has the host drop its models and cached results. It does so when it next looks for work, once a second: a
        graph that is queued before that would still be answered from the cache."""
        self.post("/free", {"unload_models": True, "free_memory": True})
        time.sleep(2)

    def _request(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, json.loads(error.read() or b"null")) from error
        return json.loads(content) if content else None

    def view(self, image: dict[str, str]) -> bytes:
        """The bytes of a picture that a node has shown."""
        query = f"filename={image['filename']}&subfolder={image['subfolder']}&type={image['type']}"
        with urllib.request.urlopen(f"http://{self.address}/view?{query}", timeout=60) as answer:
            return answer.read()

    def run(self, graph: dict[str, Any], interrupt_at: int | None = None, seconds: float = 300) -> Run:
        """Queues the graph and follows it to its end; `interrupt_at`: presses cancel at the first progress
        value told that is at least this (ComfyUI skips values when steps are fast).

        Refused if anything in the graph is invalid, even if the server would run the rest.
        """
        import websocket

        client = uuid.uuid4().hex
        run = Run()
        connection = websocket.create_connection(f"ws://{self.address}/ws?clientId={client}", timeout=seconds)
        with contextlib.closing(connection):
            connection.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
            queued = self.post("/prompt", {"prompt": graph, "client_id": client, "extra_data": {"extra_pnginfo": {}}})
            if queued["node_errors"]:
                raise Refused(200, queued["node_errors"])
            prompt_id = queued["prompt_id"]
            while ("executing", None) not in [(kind, data.get("node", 0)) for kind, data in run.events]:
                message = connection.recv()
                if isinstance(message, bytes):
                    run.previews.append(_image_of(message))
                    continue
                event = json.loads(message)
                if event["data"].get("prompt_id") != prompt_id:
                    continue
                run.events.append((event["type"], event["data"]))
                if interrupt_at is None or run.cancelled_at is not None or event["type"] != "progress":
                    continue
                if event["data"]["value"] >= interrupt_at:
                    run.cancelled_at = event["data"]["value"]
                    self.post("/interrupt", {"prompt_id": prompt_id})
        run.history = self.get(f"/history/{prompt_id}")[prompt_id]
        return run


def _image_of(message: bytes) -> bytes:
    """The picture in a binary preview message: after its format, or after a JSON of stated length."""
    kind = int.from_bytes(message[:4], "big")
    return message[8:] if kind == 1 else message[8 + int.from_bytes(message[4:8], "big") :]
