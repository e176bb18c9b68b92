"""Two processes, such as two servers over one output folder, write the same caches at once: real processes."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from trilemma.host import standalone
from trilemma.models.scoring.extractors.pixels import PixelExtractor
from trilemma.models.scoring.features.folder import Folder, Taken
from trilemma.models.scoring.features.folder_cache import FolderCache
from trilemma.nodes import NODE_CLASS_MAPPINGS

ROUNDS = 6
WRITER = "from trilemma.tests.places import test_shared_cache as test; import sys; test.{}(*sys.argv[1:])"


def start(function, *arguments):
    command = [sys.executable, "-c", WRITER.format(function), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def node(name, *arguments):
    kind = NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    with torch.inference_mode():
        return getattr(kind(), kind.FUNCTION)(*arguments)["result"]


def digest(tensor):
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


def answers(root, number):
    """Features and index of one set of pictures, in one line."""
    standalone.use_folders(input=root / "input", output=root / "output")
    extractor, _ = node("ExtractorOfPixels", 28, "torchmetrics")
    features, count, _ = node("FolderFeatures", "input", f"set{number}", extractor)
    (index, _), _, _ = node("IndexFolder", "input", f"set{number}", extractor)
    rows = [index.rows[index.digests.index(each)] for each in sorted(index.digests)]
    return [count, digest(features.rows.values), digest(torch.stack(rows)), sorted(map(list, index.names))]


def take(root, name, other):
    """A process: every set in turn, at the same time as the other."""
    root = Path(root)
    for number in range(ROUNDS):
        (root / f"{name}{number}").touch()
        while not (root / f"{other}{number}").exists():
            time.sleep(0.001)
        print(json.dumps(answers(root, number)), flush=True)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "output").mkdir()
    generator = np.random.default_rng(0)
    for number in range(ROUNDS):
        (tmp_path / "input" / f"set{number}").mkdir(parents=True)
        for picture in range(6):
            pixels = generator.integers(0, 256, (30, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "input" / f"set{number}" / f"{picture}.png")
    return tmp_path


def whole(cache):
    """How many files were read; fails where one is half written."""
    read = 0
    for file in [*cache.glob("*.npz"), *cache.glob("*.json")]:
        if file.suffix == ".npz":
            with np.load(file) as held:
                assert all(held[name] is not None for name in held.files)
        else:
            assert json.loads(file.read_text())["count"] >= 0
        read += 1
    return read


@pytest.mark.slow
def test_both_are_right_and_no_file_is_half_written(root, monkeypatch):
    monkeypatch.setattr(standalone, "_places", dict(standalone._places))
    writers = [start("take", root, *names) for names in ("ab", "ba")]
    cache, read = root / "output" / "trilemma" / "cache", 0
    while any(writer.poll() is None for writer in writers):
        read += whole(cache)
        time.sleep(0.01)
    told = [writer.communicate() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], told
    first, second = ([json.loads(line) for line in out.splitlines()] for out, _ in told)
    assert len(first) == ROUNDS and read
    assert first == second
    # By nobody's cache, and once more by theirs.
    alone = [answers(root, number) for number in range(ROUNDS)]
    standalone.use_folders(output=root / "alone")
    assert first == alone
    assert not list(cache.glob("*.part"))


def evict(root, first):
    """A process whose every write pushes out what the other has written, and may be about to read."""
    root = Path(root)
    source = PixelExtractor(28).source
    pictures = Folder(root / "input" / "set0")
    standalone.use_folders(input=root / "input", output=root / "output")
    extractor, _ = node("ExtractorOfPixels", 28, "torchmetrics")
    features, _, _ = node("FolderFeatures", "input", "set0", extractor)
    for number in range(60):
        cache = FolderCache(root / "cache", pictures, source, ("pixels",), 6, (number + int(first)) % 3)
        found = cache.find()
        assert found is None or found.features.count == 6
        print(*cache.keep(Taken(features, {}), limit=1))


@pytest.mark.slow
def test_what_the_other_removes_is_taken_anew(root):
    writers = [start("evict", root, first) for first in (0, 1)]
    told = [writer.communicate() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], told
    assert not "".join(out for out, _ in told).strip()
