"""ComfyUI servers that the user names: graphs are put into their queues, and what they made is fetched, by their API.

Nothing here asks any other address, nor follows one that a server gives.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from ..models.errors import BadInput, WorkerLost

LOOK: Final = 0.5
"""Seconds between two looks whether a graph has ended."""
ANSWER: Final = 30.0
"""Seconds that a server has to answer."""


class Server:
    """One server, which draws one shard at a time; others may use it meanwhile."""

    def __init__(self, url: str, graph_of: Callable[[int, int], Any], place_of: Callable[[int, int], str]) -> None:
        """graph_of: the graph in API format that draws `count` samples from `first` on; its last node shows the name of
        the file that it keeps, below the temp folder, in its first line. place_of: what that name must be.

        Raises:
            BadInput: no address of a server.
        """
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise BadInput(f"--servers: {url!r} is no address of a server; write, for example, http://10.0.0.5:8188.")
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._graph_of, self._place_of = graph_of, place_of
        self._given: str | None = None
        self._stopping = threading.Event()

    def draw(self, first: int, count: int, tell: Callable[[int], None]) -> Callable[[], bytes]:
        """See `models/scoring/benchmark/crew.py`. A server tells nothing before a graph has ended.

        Raises:
            WorkerLost: it does not answer, refuses the graph, failed in it, or made another file than it should.
        """
        if self._given is not None:
            # It did not answer for a while, and may draw still what another worker has by now.
            self._take_back(self._given)
        queued = self._json("POST", "/prompt", {"prompt": self._graph_of(first, count)})
        prompt_id = self._given = str(queued["prompt_id"])
        entry = self._ended(prompt_id)
        self._given = None
        status = entry.get("status", {})
        if status.get("status_str") != "success":
            raise WorkerLost(f"{self.name} failed: {_failure(status)}")
        wanted = self._place_of(first, count)
        shown = [text for ui in entry["outputs"].values() for text in ui.get("text", [])]
        if not any(text.splitlines()[:1] == [wanted] for text in shown):
            raise WorkerLost(
                f"{self.name} has other models, another reference or another version of the pack: it did not make "
                f"{wanted}."
            )
        return lambda: self._file(wanted)

    def stop(self) -> None:
        """Take back what it was given; its other work goes on."""
        self._stopping.set()

    def _ended(self, prompt_id: str) -> Mapping[str, Any]:
        """The entry of the history, when there is one."""
        while True:
            if self._stopping.wait(LOOK):
                self._take_back(prompt_id)
                raise WorkerLost(f"{self.name} was stopped.")
            entry = self._json("GET", f"/history/{prompt_id}").get(prompt_id)
            if entry is None and not self._has(prompt_id):
                # It may have ended between the two questions; else the server forgot it, as when it is started anew.
                entry = self._json("GET", f"/history/{prompt_id}").get(prompt_id)
                if entry is None:
                    raise WorkerLost(f"{self.name} was started anew, or emptied its queue.")
            if entry is not None:
                return entry

    def _has(self, prompt_id: str) -> bool:
        queue = self._json("GET", "/queue")
        return any(entry[1] == prompt_id for kind in ("queue_running", "queue_pending") for entry in queue[kind])

    def _take_back(self, prompt_id: str) -> None:
        try:
            self._json("POST", "/queue", {"delete": [prompt_id]})
            running = self._json("GET", "/queue")["queue_running"]
            if any(entry[1] == prompt_id for entry in running):
                self._json("POST", "/interrupt", {"prompt_id": prompt_id})
        except WorkerLost:
            # Then there is nothing to take back.
            return

    def _file(self, place: str) -> bytes:
        subfolder, _, name = place.rpartition("/")
        query = urlencode({"filename": name, "subfolder": subfolder, "type": "temp"})
        return self._answer("GET", f"/view?{query}")

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        content = self._answer(method, path, body)
        try:
            return json.loads(content) if content else {}
        except ValueError as error:
            raise WorkerLost(f"{self.name}{path} gave no JSON; is it a ComfyUI server?") from error

    def _answer(self, method: str, path: str, body: Any = None) -> bytes:
        connection = self._kind(self._host, self._port, timeout=ANSWER)
        try:
            content = None if body is None else json.dumps(body)
            headers = {} if content is None else {"Content-Type": "application/json"}
            connection.request(method, self._path + path, content, headers)
            answer = connection.getresponse()
            received = answer.read()
        except (OSError, HTTPException) as error:
            raise WorkerLost(f"{self.name} does not answer ({error or type(error).__name__}).") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise WorkerLost(f"{self.name}{path.partition('?')[0]} refused: {_refusal(answer, received)}")
        return received


def _refusal(answer: HTTPResponse, received: bytes) -> str:
    """In words, of the errors of a graph those of its nodes."""
    try:
        told = json.loads(received)
        errors = [error for node in (told.get("node_errors") or {}).values() for error in node["errors"]]
        messages = [f"{error['message']}: {error['details']}" for error in errors or [told["error"]]]
        return "; ".join(messages)
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{answer.status} {answer.reason}"


def _failure(status: Mapping[str, Any]) -> str:
    told = dict(status.get("messages", []))
    if "execution_error" in told:
        return str(told["execution_error"].get("exception_message", "")).strip()
    return "it was cancelled there" if "execution_interrupted" in told else "it does not say why"
