"""The table of the literature, run: every generator that is found drawn, scored and timed, one after the other.

Each is measured by Benchmark Generator, which goes on where it was stopped; the board is written anew after each.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from ... import host
from ...models.errors import BadInput, TrilemmaError
from ...models.files import catalog
from ...models.files.atomic import make_folder, replacing, sweep_parts
from ...models.generators.binding import Bound
from ...models.generators.conditions import EVERY_CLASS, read_conditions
from ...models.generators.noise import SEEDS
from ...models.pictures.grids import Theme
from ...models.pictures.png import write_png
from ...models.scoring import scores as reports
from ...models.scoring.leaderboard import COLUMNS, Leaderboard, leaderboard
from ...models.scoring.literature.tables import ALL, tables_of
from ...models.scoring.reports.leaderboard_table import draw_table
from ...models.scoring.reports.leaderboard_text import to_csv, to_json, to_markdown
from ...models.scoring.reports.trilemma_plot import draw_trilemma
from ...models.scoring.scores import Scores
from .loading import ModelLoader

FOLDER: Final = "literature"
"""Below the output folder."""
RESIZE: Final = "TF1"
THEME: Final[Theme] = "light"
LEAST: Final = 2
"""Samples of which there is a covariance."""


class Wish(NamedTuple):
    """What is asked.

    count: samples of each system; classes are drawn in turn, or at random where there are more of them. seed: of the
    first. prompts: for systems that draw from them, in turn. names: of systems, as Load Generator lists them; empty for
    all that are found. starters: whether those that come with the pack are among them. sort_by: see Leaderboard.
    """

    count: int
    seed: int
    prompts: Sequence[str]
    names: Sequence[str]
    starters: bool
    sort_by: str


class Scale(NamedTuple):
    """What all are held against. reference: features that the extractor took, for Benchmark Generator."""

    extractor: host.Handle
    reference: Any


class Found(NamedTuple):
    """board: the table, None where nothing was measured. files: below the output folder. failed: by name, why nothing
    was measured. absent: published files that are not on this machine, each with source, size, hash and folder."""

    board: Leaderboard | None
    files: Sequence[str]
    failed: Mapping[str, str]
    absent: Sequence[Mapping[str, Any]]


def asked(count: int, seed: int, prompts: Path | None, names: Sequence[str], starters: bool, sort_by: str) -> Wish:
    """The wish of a command line. prompts: a file of them, one to a line.

    Raises:
        BadInput: a number that is out of range, a score that there is not, or prompts that cannot be read.
    """
    if count < LEAST or not 0 <= seed < SEEDS:
        raise BadInput(f"--count has to be at least {LEAST}, and --seed from 0 to 2^64 - 1; found {count} and {seed}.")
    if sort_by not in COLUMNS:
        raise BadInput(f"--sort-by: there is no {sort_by!r}; choose one of {', '.join(COLUMNS)}.")
    lines: list[str] = []
    if prompts is not None:
        try:
            lines = lines_of(prompts.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"--prompts: {prompts} cannot be read as text ({error}).") from error
        if not lines:
            raise BadInput(f"--prompts: {prompts} has no line with a prompt.")
    return Wish(count, seed, lines, names, starters, sort_by)


def lines_of(text: str) -> list[str]:
    """Those that are not blank."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def scale_of(extractor: str, reference: str) -> Scale:
    """The scale by names. extractor: as Load Feature Extractor lists it; empty for the one that comes with the pack, or
    for a folder of real pictures the published Inception. reference: that folder, below the host's input folder; empty
    for the starters' own pictures.

    Raises:
        TrilemmaError: one of them cannot be had.
    """
    published = catalog.PUBLISHED["extractor"][0].name
    extractor = extractor or (published if reference else catalog.starter_names("extractor")[0])
    with torch.inference_mode():
        (held, *_) = _call("TrilemmaLoadFeatureExtractor", model=extractor, resize=RESIZE)
        if not reference:
            return Scale(held, *_call("TrilemmaExampleReference", reference=next(iter(catalog.REFERENCES)))[:1])
        folder = {"location": "input", "folder": reference, "subfolders": True, "skip_corrupt": True}
        return Scale(held, *_call("TrilemmaFolderFeatures", extractor=held, **folder)[:1])


def paths_here() -> dict[str, Path]:
    """All generators in the host's model folders, by their names as Load Generator lists them."""
    found: dict[str, Path] = {}
    for source in _loader().SOURCES:
        for name in source.names():
            # Not the loader's own look-up, which lists the folder anew for each.
            found.setdefault(name, host.model_path(source.key, name))
    return found


def run(wish: Wish, scale: Scale, on_system: Callable[[str], None]) -> Found:
    """Measures them all. on_system: called with the name of each before it is loaded.

    Raises:
        TrilemmaError: `names` are of no system that is there.
    """
    loader, listed = _loader(), list(paths_here())
    starters = catalog.starter_names(loader.KIND) if wish.starters else []
    for name in wish.names:
        loader.path(name)
    board, files, measured, failed = None, [], [], {}
    with torch.inference_mode():
        for name in wish.names or [*starters, *listed]:
            host.check_interrupted()
            on_system(name)
            try:
                measured.append(_measure(name, wish, scale))
            except TrilemmaError as error:
                failed[name] = str(error)
                continue
            finally:
                # The networks of one system make room before the next is read.
                gc.collect()
            board = leaderboard(measured, wish.sort_by, published=tables_of(ALL))
            files = _write(measured, board)
    here = {Path(name).name for name in listed}
    absent = [file for file in catalog.PUBLISHED[loader.KIND] if file.name not in here]
    told = [{**vars(file), "folder": str(host.model_folder(file.folder or loader.SOURCES[0].key))} for file in absent]
    return Found(board, files, failed, told)


def page(found: Found) -> str:
    """All of it, to read."""
    parts = [to_markdown(found.board) if found.board else "Nothing was measured."]
    if found.failed:
        parts.append("\n".join(["Not measured:", *(f"- {name}: {why}" for name, why in found.failed.items())]))
    if found.absent:
        lines = [f"- {file['name']}, from {file['source']}; it goes into {file['folder']}" for file in found.absent]
        parts.append("\n".join(["Not on this machine:", *lines]))
    return "\n\n".join([*parts, *(["Files:\n" + "\n".join(found.files)] if found.files else [])])


def as_values(found: Found) -> dict[str, Any]:
    """All of it, for JSON."""
    return {**found._asdict(), "board": to_markdown(found.board) if found.board else ""}


def _node(node_id: str) -> Any:
    """One of the pack's nodes, each of which takes its part as in a graph."""
    # The table is made of files that import this one.
    from .. import NODE_CLASS_MAPPINGS

    return NODE_CLASS_MAPPINGS[node_id]


def _loader() -> type[ModelLoader]:
    return _node("TrilemmaLoadGenerator")


def _call(node_id: str, /, **given: Any) -> tuple[Any, ...]:
    """What a node gives, without what it shows."""
    node = _node(node_id)
    returned = getattr(node(), node.FUNCTION)(**{**_defaults(node), **given})
    return returned["result"] if isinstance(returned, dict) else returned


def _defaults(node: Any) -> dict[str, Any]:
    """Of the required inputs that have one, as the page fills them in."""
    types = node.INPUT_TYPES()["required"]
    return {name: options["default"] for name, (_, options) in types.items() if "default" in options}


def _measure(name: str, wish: Wish, scale: Scale) -> Scores:
    (handle, *_) = _call("TrilemmaLoadGenerator", model=name)
    bound: Bound = handle.model
    descriptor = bound.generator.descriptor
    if 0 < descriptor.num_classes <= wish.count:
        bound = bound.with_conditions(read_conditions(descriptor, EVERY_CLASS))
    elif "prompt" in descriptor.conditions and wish.prompts:
        bound = bound.with_conditions(read_conditions(descriptor, "\n".join(wish.prompts)))
    (scored, *_) = _call(
        "TrilemmaBenchmarkGenerator",
        generator=handle._replace(model=bound),
        **scale._asdict(),
        num_images=wish.count,
        first_seed=wish.seed,
        filename_prefix=f"{FOLDER}/systems/{_plain(name)}",
        name=name.removeprefix("starter ").removesuffix(".safetensors"),
    )
    return scored


def _plain(name: str) -> str:
    """A name for files."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def _write(measured: Sequence[Scores], board: Leaderboard) -> list[str]:
    """The board of what is measured so far, in place of the one before."""
    root = host.output_folder() / FOLDER
    make_folder(root)
    sweep_parts(root)
    texts = {
        "board.md": to_markdown(board),
        "board.csv": to_csv(board),
        "board.json": to_json(board, "fid", "recall"),
        "scores.json": json.dumps([json.loads(reports.to_json(each)) for each in measured], indent=1),
    }
    for file, text in texts.items():
        with replacing(root / file) as stream:
            stream.write(text.encode())
    pictures = {"table.png": draw_table(board, THEME)[0]}
    for place, group in enumerate(board.groups, 1):
        host.check_interrupted()
        pictures[f"trilemma_{place}.png"] = draw_trilemma(group, "fid", "recall", THEME)[0]
    for file, picture in pictures.items():
        host.check_interrupted()
        write_png(root / file, picture)
    return [f"{FOLDER}/{file}" for file in (*texts, *pictures)]
