import json

import pytest
from trilemma import headless
from trilemma.host import standalone


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a workflow as the command line does, in a folder of the test's own; node id -> what it showed."""
    monkeypatch.setattr(standalone, "_places", dict(standalone._places))
    monkeypatch.chdir(tmp_path)

    def call(file, *arguments):
        code = headless.main([str(file), "--output", str(tmp_path / "output"), *arguments])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return json.loads(captured.out)["outputs"]

    return call
