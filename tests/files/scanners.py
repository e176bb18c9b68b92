"""What other people's scanners say of our hostile files, beside what the reader does: a part of `make test-peers`.

    python -m trilemma.tests.files.scanners PYTHON

PYTHON: of an environment with REQUIREMENTS. Prints a table in Markdown, by class of weakness; exits with 1 where a file
is neither refused here nor inert.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trilemma.tests.files import corpus
from trilemma.tests.files.mutants import judging, making, seeds
from trilemma.tests.files.mutants.seeds import Seed

REQUIREMENTS: Final = ("picklescan==1.0.5", "fickling==0.1.12", "modelscan==0.8.8")
PICKLESCAN: Final = """
import json, sys, logging
from pathlib import Path
from picklescan.scanner import scan_file_path
logging.disable(logging.CRITICAL)
said = {}
for path in sorted(Path(sys.argv[1]).rglob("*.*")):
    try:
        found = scan_file_path(str(path))
        said[str(path)] = "flagged" if found.issues_count else "failed" if found.scan_err else "passed"
    except Exception:
        said[str(path)] = "failed"
print(json.dumps(said))
"""
FICKLING: Final = """
import json, sys, zipfile
from pathlib import Path
from fickling.analysis import Severity, check_safety
from fickling.fickle import Pickled
said = {}
for path in sorted(Path(sys.argv[1]).rglob("*.*")):
    try:
        raw = path.read_bytes()
        if raw[:4] == b"PK\\3\\4":
            with zipfile.ZipFile(path) as archive:
                raw = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
        read = Pickled.load(raw)
        clean = not read.has_invalid_opcode and check_safety(read).severity == Severity.LIKELY_SAFE
        said[str(path)] = "passed" if clean else "flagged"
    except Exception:
        said[str(path)] = "failed"
print(json.dumps(said))
"""


def scripted(script: str) -> Callable[[Path, Path], dict[str, str]]:
    def scan(python: Path, folder: Path) -> dict[str, str]:
        command = [str(python), "-c", script, str(folder)]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout)

    return scan


def modelscan(python: Path, folder: Path) -> dict[str, str]:
    report = folder.parent / "modelscan.json"
    command = [str(python.parent / "modelscan"), "scan", "-p", str(folder), "-r", "json", "-o", str(report)]
    subprocess.run(command, capture_output=True, check=False, cwd=folder.parent)
    said = json.loads(report.read_text())
    flagged = {issue["source"].partition(":")[0] for issue in said["issues"]}
    scanned = {name.partition(":")[0] for name in said["summary"]["scanned"]["scanned_files"]}
    return {
        str(path): "flagged" if name in flagged else "passed" if name in scanned else "failed"
        for path in folder.rglob("*.*")
        if (name := path.relative_to(folder).as_posix())
    }


SCANNERS: Final[dict[str, Callable[[Path, Path], dict[str, str]]]] = {
    "picklescan": scripted(PICKLESCAN),
    "fickling": scripted(FICKLING),
    "modelscan": modelscan,
}


def everything(folder: Path) -> list[corpus.Sample]:
    """The hostile files, and the sound ones and hostile ones that mutants are made of."""
    made = [*corpus.samples()]
    for kind in seeds.SEEDS:
        for seed in making.seeds_of(kind, folder):
            weakness = "a call beside weights" if seed.hostile else "none: a sound file"
            made.append(
                corpus.Sample(weakness, f"{kind}, {seed.name}", seed.files, "refused" if seed.hostile else "inert")
            )
    return made


def outcome(sample: corpus.Sample, folder: Path, watch: judging.Watch) -> str:
    """refused; inert, where it is read; or what is wrong."""
    folder.mkdir(exist_ok=True)
    suffix = Path(next(iter(sample.files))).suffix
    kind = "folder" if len(sample.files) > 1 or ".json" in "".join(sample.files) else ""
    kind = kind or {".npz": "features", ".npy": "array"}.get(suffix, "archive")
    seed = Seed(sample.name, sample.files)
    verdict = judging.judged(kind, making.Mutant(0, seed, sample.files, "", "nothing"), None, folder, watch)
    return verdict.fault or ("refused" if verdict.outcome == "refused" else "inert")


def main(python: str) -> int:
    """Runs every scanner over all files; 1 if a flagged one is neither refused nor inert here."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        (root / "seeds").mkdir()
        samples = everything(root / "seeds")
        for number, sample in enumerate(samples):
            place = root / "files" / f"{number:03}"
            place.mkdir(parents=True)
            for name, raw in sample.files.items():
                (place / name).write_bytes(raw)
        watch = judging.Watch()
        ours = [outcome(sample, root / "ours", watch) for sample in samples]
        said = {}
        for name, scan in SCANNERS.items():
            of_files = scan(Path(python).absolute(), root / "files")
            for number in range(len(samples)):
                places = [word for path, word in of_files.items() if Path(path).parent.name == f"{number:03}"]
                said[name, number] = next((word for word in ("flagged", "failed") if word in places), "passed")
    print(table(samples, ours, said))
    faults = [f"{samples[number].name}: {word}" for number, word in enumerate(ours) if word not in ("refused", "inert")]
    print(*faults, sep="\n")
    return int(bool(faults))


def table(samples: list[corpus.Sample], ours: list[str], said: dict[tuple[str, int], str]) -> str:
    """By class: files, what becomes of them here, and how many each scanner flags."""
    versions = [each.replace("==", " ") for each in REQUIREMENTS]
    lines = [f"| weakness | files | refused | inert | {' | '.join(versions)} | passed by all, refused here |"]
    lines.append("|---" * (5 + len(versions)) + "|")
    for weakness in dict.fromkeys(sample.weakness for sample in samples):
        numbers = [number for number, sample in enumerate(samples) if sample.weakness == weakness]
        here = Counter(ours[number] for number in numbers)
        flagged = [sum(said[name, number] == "flagged" for number in numbers) for name in SCANNERS]
        alone = [
            number
            for number in numbers
            if ours[number] == "refused" and not any(said[name, number] == "flagged" for name in SCANNERS)
        ]
        row = (weakness, len(numbers), here["refused"], here["inert"], *flagged, len(alone))
        lines.append(f"| {' | '.join(map(str, row))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
