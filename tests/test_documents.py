"""The documents at the top say what is there: the map of the rooms, the version, the files that they send to."""

import re
import subprocess
from pathlib import Path

import pytest
from trilemma.models.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
MAP = (ROOT / "ARCHITECTURE.md").read_text()


def mapped() -> list[str]:
    """The first word of each line of the map of the rooms."""
    rooms = MAP.split("## The rooms")[1].split("```")[1]
    return [line.split()[0] for line in rooms.splitlines() if line[:1].strip()]


def tracked() -> list[str]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return names.splitlines()


def test_every_room_of_the_map_is_there():
    for name in mapped():
        assert (ROOT / name).is_dir() if name.endswith("/") else (ROOT / name).is_file(), name


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git lists the folders, and this is no checkout")
def test_every_room_is_on_the_map():
    names = [Path(name) for name in tracked()]
    folders = {f"{name.parts[0]}/" for name in names if len(name.parts) > 1 and not name.parts[0].startswith(".")}
    packages = {
        f"{name.parent.as_posix()}/" for name in names if name.name == "__init__.py" and name.parts[0] == "models"
    }
    loose = {name.as_posix() for name in names if name.parts[:-1] == ("models",) and name.suffix == ".py"}
    rooms = mapped()
    assert not loose - {"models/__init__.py"} - set(rooms)
    assert not [folder for folder in folders if not any(room.startswith(folder) for room in rooms)]
    assert not packages - {"models/"} - set(rooms)


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_files_that_a_document_names_are_there(document):
    """Paths and files in backticks."""
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|json|toml))`", (ROOT / document).read_text())
    assert named
    for name in named:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("document", sorted(path.name for path in ROOT.glob("*.md")))
def test_files_that_a_document_links_to_are_there(document):
    for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / document).read_text()):
        assert "://" in link or (ROOT / link).exists(), link


def test_the_version_is_the_same_everywhere():
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    released = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert project and released
    assert project[1] == released[1] == VERSION


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", ".pre-commit-config.yaml"])
def test_targets_that_a_document_names_are_there(document):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([\w-]+)", (ROOT / document).read_text(), re.MULTILINE))
    assert named
    assert not named - targets
