"""`headless.py benchmark` as a call of a test."""

import json

import pytest
import torch
from trilemma import headless
from trilemma.host import standalone
from trilemma.models.scoring.benchmark import crew
from trilemma.tests.headless.alone import GRAPH


@pytest.fixture(autouse=True)
def places(monkeypatch):
    monkeypatch.setattr(standalone, "_places", dict(standalone._places))
    monkeypatch.setattr(crew, "WAIT", 0.01)
    threads = torch.get_num_threads()
    # What a network gives moves by its last digits with the number of threads; workers have one.
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def command(tmp_path, capsys):
    """Runs a command on the graph; exit code, JSON of stdout, text of stderr."""

    def run(*arguments, output="out", graph=GRAPH):
        file = tmp_path / "graph.json"
        file.write_text(json.dumps(graph))
        command = [str(each) for each in arguments]
        place = 1 if command[:1] == ["benchmark"] else 0
        command[place:place] = [str(file)]
        code = headless.main([*command, "--output", str(tmp_path / output)])
        captured = capsys.readouterr()
        return code, json.loads(captured.out), captured.err

    return run
