"""What an installation of the pack brings along: `make test-supply`, which asks package registries.

    python -m trilemma.tests.supply AUDIT [COMFYUI ...]

- pip-audit, at AUDIT, over all that requirements.txt brings: no version with a published weakness. Where its database
  cannot be reached, or does not know a package, that is said, and is no pass.
- The resolver, dry, for each checkout COMFYUI: what it chooses for ComfyUI's own requirements it chooses too where ours
  stand beside them. So an installation changes no package of the host.

One line per finding, one for each part. Exits with 1 where there is a finding.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = ROOT / "requirements.txt"
APART = ("torchaudio",)
"""Of the host's, asks for one exact torch, which need not be the newest; ours has nothing to do with it."""


def audited(pip_audit: str) -> list[str]:
    """Findings of pip-audit over `OURS`."""
    command = [pip_audit, "--requirement", str(OURS), "--format", "json", "--progress-spinner", "off"]
    run = subprocess.run(command, capture_output=True, text=True)
    if not run.stdout.strip():
        return [f"pip-audit gave no answer: {run.stderr.strip().splitlines()[-1:]}"]
    packages = json.loads(run.stdout)["dependencies"]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    weak = [
        f"{package['name']} {package['version']}: {', '.join(weakness['id'] for weakness in package['vulns'])}"
        for package in packages
        if package.get("vulns")
    ]
    print(f"pip-audit: {len(packages)} packages, {len(weak)} with weaknesses, {len(unknown)} that it does not know")
    return weak + ([f"not audited: {', '.join(unknown)}"] if unknown else [])


def chosen(files: Sequence[Path]) -> dict[str, str]:
    """Package -> version that pip would install for all of `files`, into an empty environment."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--dry-run", "--ignore-installed", "--quiet", "--report", str(report)]
        asked = [argument for file in files for argument in ("--requirement", str(file))]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, *asked], check=True)
        entries = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {entry["metadata"]["name"].lower(): entry["metadata"]["version"] for entry in entries}


def changed(comfyui: Path) -> list[str]:
    """Packages of ComfyUI at `comfyui` that an installation of ours would change."""
    with tempfile.TemporaryDirectory() as folder:
        theirs = Path(folder) / "comfyui.txt"
        lines = (comfyui / "requirements.txt").read_text(encoding="utf-8").splitlines()
        theirs.write_text("\n".join(line for line in lines if not line.startswith(APART)), encoding="utf-8")
        alone, together = chosen([theirs]), chosen([theirs, OURS])
    print(f"{comfyui.name}: {len(alone)} packages of its own, {len(together.keys() - alone.keys())} that we add")
    return [
        f"{name} {version} becomes {together.get(name)}"
        for name, version in sorted(alone.items())
        if together.get(name) != version
    ]


def main() -> int:
    pip_audit, *hosts = sys.argv[1:]
    found = audited(pip_audit)
    for host in hosts:
        found += changed(Path(host))
    print(*found, sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
