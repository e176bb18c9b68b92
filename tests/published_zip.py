"""What the registry is given: `make zip` writes it, the same bytes from every checkout of a commit.

    python -m trilemma.tests.published_zip FILE

Times, rights, owners and order of files are left to nobody; bytes are those of git, with the line endings of
`.gitattributes`. Only another version of zlib packs otherwise.
"""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TIME = (1980, 1, 1, 0, 0, 0)
"""The first that a zip can tell."""
RIGHTS = 0o100644


def published(root: Path = ROOT) -> list[str]:
    """Tracked files without those that .comfyignore names, as `comfy node publish` takes them."""

    def listed(*options: str) -> set[str]:
        command = ["git", "ls-files", "-z", "--cached", *options]
        answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
        return {name for name in answer.split("\0") if name}

    return sorted(listed() - listed("--ignored", "--exclude-from=.comfyignore"))


def write_zip(path: Path, root: Path = ROOT) -> None:
    """Write what `root` publishes into `path`; a file that is there is replaced."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in published(root):
            entry = zipfile.ZipInfo(name, TIME)
            entry.create_system = 3  # Unix, wherever it is written: its rights are the ones below
            entry.external_attr = RIGHTS << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (root / name).read_bytes())


def main() -> None:
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_zip(path)
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")


if __name__ == "__main__":
    main()
