"""When two labels name the same kind of thing."""

from __future__ import annotations

import re
from typing import Final

ARTICLES: Final = re.compile(r"^(?:an?|the)\s+(?=\S)")


def bare(label: str) -> str:
    """A label without its article, its case, a full stop at its end and needless space: "A Mushroom." is "mushroom"."""
    plain = " ".join(label.split()).casefold().rstrip(" .")
    return ARTICLES.sub("", plain)
