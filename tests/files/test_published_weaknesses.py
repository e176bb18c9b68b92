"""Classes of weaknesses that other readers and scanners were published with: each meets its guard here.

Nothing that such a file says is run, nor anything imported, opened or started by it; it is refused by name and reason,
or its weights are read beside what stays two strings.
"""

import sys

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files import checkpoints
from trilemma.models.files.unpickling import names
from trilemma.tests.files import corpus
from trilemma.tests.files.mutants import judging, making
from trilemma.tests.files.mutants.seeds import Seed

SAMPLES = corpus.samples()
WEIGHTS = {name: torch.from_numpy(value) for name, value in corpus.WEIGHTS.items()}
CLASSES = sorted({sample.weakness for sample in SAMPLES})


@pytest.fixture(scope="module")
def watch():
    return judging.Watch()


@pytest.mark.parametrize("weakness", CLASSES)
def test_what_it_says_is_not_done(weakness, watch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for sample in (each for each in SAMPLES if each.weakness == weakness):
        kind = "folder" if len(sample.files) > 1 else "archive"
        seed = Seed(sample.name, sample.files)
        verdict = judging.judged(kind, making.Mutant(0, seed, sample.files, "", "values"), WEIGHTS, tmp_path, watch)
        assert not verdict.fault, (sample.name, verdict.fault)
        expected = "refused" if sample.outcome == "refused" else "equal"
        assert verdict.outcome == expected, (sample.name, verdict)


def test_every_class_has_samples():
    assert len(CLASSES) == 11
    assert len(SAMPLES) > 100


def test_modules_of_the_library_are_refused_by_default(tmp_path):
    """Whatever a next version of Python brings: only listed names of listed modules are plain."""
    for module in sorted(sys.stdlib_module_names - {"builtins", *names.WHOLE}):
        for below in (module, f"{module}.sub"):
            (tmp_path / "x.pkl").write_bytes(corpus.beside(corpus.call(below, "no_such_name", "x")))
            with pytest.raises(BadCheckpoint, match=rf"x\.pkl: it names {below}\.no_such_name, which no checkpoint"):
                checkpoints.read(tmp_path / "x.pkl")


def test_the_weights_beside_are_those(tmp_path):
    """The samples would be read, but for what is wrong with each."""
    (tmp_path / "x.pkl").write_bytes(corpus.beside(b"N"))
    assert np.array_equal(checkpoints.read(tmp_path / "x.pkl").tensors["w"].numpy(), corpus.WEIGHTS["w"])
    (tmp_path / "x.pth").write_bytes(corpus._stored((2, 2), (2, 1), 0))
    assert checkpoints.read(tmp_path / "x.pth").tensors["w"].shape == (2, 2)
