"""What an installation brings along, and that a checkout is the same on every system; `supply` asks the registries."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from trilemma.tests import published_zip

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
"""Names that Windows keeps for itself, whatever their suffix."""
LONGEST = 150
"""Of a path, in characters: Windows opens 259 where nobody has asked for more, and the folder above takes its share."""


def tracked(*options: str) -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("git lists the files, and this is no checkout")
    command = ["git", "ls-files", "-z", *options]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in answer.split("\0") if name]


def test_every_requirement_is_bounded_at_both_ends():
    """From the oldest that was tried, to the next that may break."""
    assert REQUIREMENTS
    for line in REQUIREMENTS:
        assert re.fullmatch(r"[a-z0-9-]+>=[0-9.]+,<[0-9.]+", line), line


def test_the_project_asks_for_the_same():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"(?ms)^dependencies = (\[.*?^\])", text)
    assert block and ast.literal_eval(block[1]) == REQUIREMENTS
    extras = re.search(r"(?ms)^\[project\.optional-dependencies\]\n(.*?)^\[", text)
    assert extras
    for requirement in re.findall(r'"([^"]+)"', extras[1]):
        assert re.fullmatch(r"[a-z0-9-]+(==[0-9.]+|>=[0-9.]+,<[0-9.]+)", requirement), requirement


def test_windows_can_hold_every_file():
    names = tracked()
    assert len({name.lower() for name in names}) == len(names), "two names that differ in their case alone"
    for name in names:
        assert len(name) <= LONGEST, name
        for part in name.split("/"):
            assert not re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', part), name
            assert part.split(".")[0].lower() not in DEVICES, name


def test_every_line_ends_alike():
    ends = [line.split(None, 3) for line in tracked("--eol")]
    assert not [name for stored, _, _, name in ends if stored not in ("i/lf", "i/none", "i/-text")]
    assert not [name for _, _, attribute, name in ends if attribute != "attr/text=auto"]


def test_texts_are_read_and_written_as_utf_8():
    """Whatever the system's own encoding is: on Windows it is none that holds our texts."""
    methods = ("read_text", "write_text")
    found = []
    for name in tracked("*.py"):
        if name.split("/")[0] in ("tests", "training", "findings"):
            continue
        for call in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            said = {keyword.arg for keyword in call.keywords}
            is_method = isinstance(call.func, ast.Attribute) and call.func.attr in methods
            is_open = isinstance(call.func, ast.Name) and call.func.id == "open"
            modes = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
            is_binary = any("b" in ast.unparse(mode) for mode in modes)
            if (is_method or (is_open and not is_binary)) and "encoding" not in said:
                found.append(f"{name}:{call.lineno}")
    assert not found


@pytest.mark.slow
def test_the_zip_is_the_same_from_every_checkout(tmp_path):
    """A clone has other times, rights and order of files."""
    tracked()
    changes = ["git", "diff", "--quiet", "HEAD"]
    if subprocess.run(changes, cwd=ROOT).returncode:
        pytest.skip("what is not committed is in no clone")
    command = ["git", "clone", "--quiet", "--no-hardlinks", "--depth", "1", f"file://{ROOT}", str(tmp_path / "clone")]
    subprocess.run(command, check=True)
    for path in (tmp_path / "clone" / "nodes").glob("*.py"):
        path.chmod(0o755)
    published_zip.write_zip(tmp_path / "a.zip")
    published_zip.write_zip(tmp_path / "b.zip", tmp_path / "clone")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_readme_names_the_pythons_that_are_tried():
    said = re.findall(r'"(3\.\d+)"', (ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8"))
    assert said[:4] == ["3.10", "3.11", "3.12", "3.13"]
