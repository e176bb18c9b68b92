import itertools
import json
import re

import pytest
from trilemma import headless
from trilemma.host import standalone
from trilemma.tests.examples import baselines


@pytest.fixture
def run(request, tmp_path, monkeypatch, capsys):
    """Runs a workflow as the command line does, in a folder of the test's own; node id -> what it showed, which is held
    to the baseline of the test's name."""
    monkeypatch.setattr(standalone, "_places", dict(standalone._places))
    monkeypatch.chdir(tmp_path)

    runs = itertools.count(1)
    name = re.sub(r"\W+", "_", request.node.name.removeprefix("test_")).strip("_")

    def call(file, *arguments):
        code = headless.main([str(file), "--output", str(tmp_path / "output"), *arguments])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        outputs = json.loads(captured.out)["outputs"]
        baselines.check(f"{name}_{next(runs)}", outputs, request.config.getoption("--write-baselines"))
        return outputs

    return call
