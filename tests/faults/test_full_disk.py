"""A disk that fills up: a small file system of its own, which wants a system that lets us mount one."""

import json
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

MOUNTED = 'mount -t tmpfs -o size=8m none "$1" && exec "$2" -m trilemma.tests.faults.full_disk "$1" "$3"'
FEW = 2
"""Times that the disk is full for each writer in `make test`."""


def mounts() -> bool:
    """Whether this user may have a file system of their own."""
    tools = shutil.which("unshare") and shutil.which("mount")
    asked = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$(mktemp -d)"']
    return bool(tools) and subprocess.run(asked, capture_output=True).returncode == 0


@pytest.mark.skipif(not mounts(), reason="no file system may be mounted here")
def test_a_full_disk_is_told_and_costs_nothing(tmp_path, faults):
    command = ["unshare", "--mount", "sh", "-c", MOUNTED, "sh", str(tmp_path), sys.executable, str(faults // 5 or FEW)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
    assert done.returncode == 0, done.stderr
    for each in found:
        print(each)
    assert {each["name"]: each["wrong"] for each in found if each["wrong"]} == {}
    assert len(found) == 17 and all(each["full"] for each in found)
