"""What an index holds, and what was found in it, in words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from .indexing import FolderIndex, Work
from .search import Nearest


class Picture(NamedTuple):
    """One that was found. name: relative path, the first of those with these pixels; also: the others. score: the
    cosine of its features and the query's."""

    name: str
    score: float
    also: tuple[str, ...]


class Found(NamedTuple):
    """query: the prompt, or which image of the batch. pictures: the nearest first."""

    query: str
    pictures: tuple[Picture, ...]


def read_prompts(text: str) -> tuple[str, ...]:
    """One prompt to a line; empty lines are none."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def found_of(index: FolderIndex, nearest: Nearest, prompts: Sequence[str]) -> tuple[Found, ...]:
    """With names. prompts: the queries, none where they were pictures."""
    queries = prompts or [f"image {number}" for number in range(len(nearest.places))]
    return tuple(
        Found(
            query,
            tuple(
                Picture(index.names[place][0], score, index.names[place][1:])
                for score, place in zip(scores, places, strict=True)
            ),
        )
        for query, scores, places in zip(queries, nearest.scores.tolist(), nearest.places.tolist(), strict=True)
    )


def to_json(found: Sequence[Found]) -> str:
    """A list of queries, each with its pictures."""
    told = [
        {
            "query": query,
            "pictures": [
                {"name": each.name, "score": each.score, **({"same pixels": list(each.also)} if each.also else {})}
                for each in pictures
            ],
        }
        for query, pictures in found
    ]
    return json.dumps(told, ensure_ascii=False)


def describe_found(index: FolderIndex, found: Sequence[Found]) -> str:
    """A line for each picture."""
    lines = [f"nearest of {index.count:,} pictures of {index.folder.name}, by {index.source.extractor}"]
    for query, pictures in found:
        lines.append(f"{query}:")
        for number, each in enumerate(pictures, 1):
            same = f" (the same pixels: {', '.join(each.also)})" if each.also else ""
            lines.append(f"  {number}. {each.score:.4f}  {each.name}{same}")
    return "\n".join(lines)


def describe_index(index: FolderIndex, work: Work) -> str:
    """What it holds, and what was done."""
    doubles = sum(len(names) - 1 for names in index.names if names)
    lines = [
        f"{index.count:,} pictures of {index.folder.name}, {index.rows.shape[1]:,} features by "
        f"{index.source.extractor}",
        f"read: {work.new:,}, looked at by the network: {work.described:,}, known: {work.unchanged:,}, "
        f"gone: {work.gone:,}",
        *([f"files of the same pixels as another: {doubles:,}"] if doubles else []),
        *([f"left out, not readable: {len(index.unreadable)}"] if index.unreadable else []),
        *(f"  {name}: {why}" for name, why in index.unreadable.items()),
        *([work.note] if work.note else []),
    ]
    return "\n".join(lines)
