"""As much of ComfyUI's API as `headless.py benchmark --servers` asks, over the pack's own runner of graphs."""

from __future__ import annotations

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from trilemma import host
from trilemma.host import core_nodes, graph
from trilemma.nodes import NODE_CLASS_MAPPINGS

NODES = {**core_nodes.NODES, **NODE_CLASS_MAPPINGS}
ONE_AT_A_TIME = threading.Lock()


class Server:
    """Listens on a free port of this machine.

    dies_in: the number of the prompt in which it stops answering. refuses: graphs, as ComfyUI does without the pack.
    fails: in every graph. asked: methods and paths, in order. holds: prompts wait in the queue until that is set.
    """

    def __init__(self, dies_in: int = 0, refuses: bool = False, fails: bool = False, forgets: bool = False) -> None:
        self.dies_in, self.refuses, self.fails, self.forgets = dies_in, refuses, fails, forgets
        self.asked: list[str] = []
        self.history: dict[str, Any] = {}
        self.queue: list[str] = []
        self.taken_back: list[str] = []
        self.dead = False
        self.go = threading.Event()
        self.go.set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"comfyui": self}))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.go.set()
        self._http.shutdown()
        self._http.server_close()

    def prompt(self, body: dict[str, Any]) -> tuple[int, Any]:
        if self.refuses:
            return 400, {
                "error": {"message": "Cannot execute", "details": "no TrilemmaBenchmarkPart"},
                "node_errors": {},
            }
        prompt_id = uuid.uuid4().hex
        self.queue.append(prompt_id)
        if len(self.queue) == self.dies_in:
            self.dead = True
        elif not self.forgets:
            threading.Thread(target=self._run, args=(prompt_id, body["prompt"]), daemon=True).start()
        return 200, {"prompt_id": prompt_id, "number": 1, "node_errors": {}}

    def _run(self, prompt_id: str, prompt: dict[str, Any]) -> None:
        self.go.wait()
        if prompt_id in self.taken_back:
            return
        if self.fails:
            messages = [["execution_error", {"exception_message": "it has no memory left"}]]
            self.history[prompt_id] = {"outputs": {}, "status": {"status_str": "error", "messages": messages}}
            return
        with ONE_AT_A_TIME:
            outputs = graph.run(prompt, NODES)
        self.history[prompt_id] = {"outputs": outputs, "status": {"status_str": "success", "messages": []}}

    def waiting(self) -> list[str]:
        gone = {*self.history, *self.taken_back}
        return [] if self.forgets else [prompt_id for prompt_id in self.queue if prompt_id not in gone]


class Handler(BaseHTTPRequestHandler):
    comfyui: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.comfyui.asked.append(f"GET {parts.path.partition('/history/')[1] or parts.path}")
        if parts.path.startswith("/history/"):
            prompt_id = parts.path.rpartition("/")[2]
            found = self.comfyui.history.get(prompt_id)
            self._answer(200, {} if found is None else {prompt_id: found})
        elif parts.path == "/queue":
            self._answer(200, {"queue_running": [], "queue_pending": [[1, each] for each in self.comfyui.waiting()]})
        else:
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            assert query["type"] == "temp"
            self._bytes(200, (host.temp_folder() / query["subfolder"] / query["filename"]).read_bytes())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.comfyui.asked.append(f"POST {self.path}")
        if self.path == "/prompt":
            self._answer(*self.comfyui.prompt(body))
        else:
            self.comfyui.taken_back += body["delete"]
            self._bytes(200, b"")

    def _answer(self, status: int, value: Any) -> None:
        self._bytes(status, json.dumps(value).encode())

    def _bytes(self, status: int, content: bytes) -> None:
        if self.comfyui.dead:
            # As when the process is killed: the connection ends without an answer.
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        return
