"""Files that are numbered on from run to run, by the rules of the host's Save Image."""

from __future__ import annotations

import re
from pathlib import Path


def first_number(target: Path) -> int:
    """One more than the highest number of the files beside `target` that are called `target_<number>`."""
    numbered = re.compile(re.escape(target.name) + r"_(\d+)[_.]")
    taken = [int(match[1]) for file in target.parent.iterdir() if (match := numbered.match(file.name))]
    return max(taken, default=0) + 1
