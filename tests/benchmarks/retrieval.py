"""A query of an index, against the bare product of its rows and the query."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from trilemma.models.retrieval.indexing import FolderIndex
from trilemma.models.retrieval.search import unit_rows
from trilemma.models.retrieval.store import IndexStore, Known
from trilemma.models.scoring.extractors.base import Source
from trilemma.tests.benchmarks.timing import Comparison, compare

COUNT = 100_000
SIZES = (512, 768)
"""Of CLIP's common space: ViT-B and ViT-L."""
NEAREST = 16
AT_LEAST = 1 / 1.2


def compare_query(size: int, queries: int, repeats: int = 9) -> Comparison:
    """Rows are mapped from the disk for both."""
    generator = torch.Generator().manual_seed(0)
    names = [f"{number}.png" for number in range(COUNT)]
    with tempfile.TemporaryDirectory() as folder:
        source = Source("CLIP", "0", "clean")
        store = IndexStore(Path(folder), Path(folder), False, source, "embedding", size)
        values = unit_rows(torch.randn(COUNT, size, generator=generator))
        files = {name: Known((1, 1), name) for name in names}
        rows = store.rows(store.add(files, dict(zip(names, values, strict=True)), names))
        index = FolderIndex(Path(folder), source, rows, tuple((name,) for name in names), tuple(names), None, {})
        asked = unit_rows(torch.randn(queries, size, generator=generator))
        product = (rows @ asked.T).T
        found = index.nearest(asked, NEAREST)
        torch.testing.assert_close(found.scores, product.topk(NEAREST, dim=1).values)
        if queries == 1:
            return compare(lambda: rows @ asked[0], lambda: index.nearest(asked, NEAREST), repeats)
        return compare(lambda: rows @ asked.T, lambda: index.nearest(asked, NEAREST), repeats)


def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    return [
        (
            f"{NEAREST} nearest of {COUNT:,} pictures by {size} features, queries: {queries}",
            compare_query(size, queries),
            AT_LEAST,
        )
        for size in SIZES
        for queries in (1, 8)
    ]
