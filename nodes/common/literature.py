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
from ...models.files.atomic import replacing
from ...models.generators.binding import Bound
from ...models.generators.conditions import EVERY_CLASS, read_conditions
from ...models.generators.noise import SEEDS
from ...models.pictures.grids import Theme
from ...models.pictures.png import write_png
from ...models.scoring import scores as reports
from ...models.scoring.leaderboard import COLUMNS, leaderboard
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
    first. prompts: for systems that draw from them, in turn. extractor: as Load Feature Extractor lists it. reference:
    a folder below the host's input folder; empty for the starters' own pictures. names: of systems, as Load Generator
    lists them; empty for all that are found, with the starters where the reference is theirs. sort_by: see Leaderboard.
    """

    count: int
    seed: int
    prompts: Sequence[str]
    extractor: str
    reference: str
    names: Sequence[str]
    sort_by: str


class Found(NamedTuple):
    """board: the table as Markdown. files: below the output folder. failed: by name, why nothing was measured.
    absent: published files that are not on this machine, each with source, size, hash and folder."""

    board: str
    files: Sequence[str]
    failed: Mapping[str, str]
    absent: Sequence[Mapping[str, Any]]


def asked(
    count: int, seed: int, prompts: Path | None, extractor: str, reference: str, names: Sequence[str], sort_by: str
) -> Wish:
    """The wish of a command line. prompts: a file of them, one to a line. An empty extractor: the one that comes with
    the pack, or for a folder of real pictures the published Inception.

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
            lines = [line.strip() for line in prompts.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"--prompts: {prompts} cannot be read as text ({error}).") from error
        if not lines:
            raise BadInput(f"--prompts: {prompts} has no line with a prompt.")
    published = catalog.PUBLISHED["extractor"][0].name
    extractor = extractor or (published if reference else catalog.starter_names("extractor")[0])
    return Wish(count, seed, lines, extractor, reference, names, sort_by)


def run(nodes: Mapping[str, type], wish: Wish, on_system: Callable[[str], None]) -> Found:
    """Measures them all. nodes: the pack's, by id. on_system: called with the name of each before it is loaded.

    Raises:
        TrilemmaError: extractor or reference cannot be had, or `names` are of no system that is there.
    """
    loader: type[ModelLoader] = nodes["TrilemmaLoadGenerator"]
    listed = [name for source in loader.SOURCES for name in source.names()]
    starters = catalog.starter_names(loader.KIND) if not wish.reference else []
    systems = list(wish.names) or [*starters, *listed]
    for name in wish.names:
        loader.path(name)
    with torch.inference_mode():
        (extractor, *_) = _call(nodes["TrilemmaLoadFeatureExtractor"], model=wish.extractor, resize=RESIZE)
        (reference, *_) = _reference(nodes, wish, extractor)
        measured, failed = [], {}
        files: Sequence[str] = ()
        for name in systems:
            host.check_interrupted()
            on_system(name)
            try:
                measured.append(_measure(nodes, name, wish, extractor, reference))
            except TrilemmaError as error:
                failed[name] = str(error)
                continue
            finally:
                # The networks of one system make room before the next is read.
                gc.collect()
            files = _write(measured, wish.sort_by)
    board = to_markdown(_board(measured, wish.sort_by)) if measured else ""
    here = {Path(name).name for name in listed}
    absent = [file for file in catalog.PUBLISHED[loader.KIND] if file.name not in here]
    told = [{**vars(file), "folder": str(host.model_folder(file.folder or loader.SOURCES[0].key))} for file in absent]
    return Found(board, files, failed, told)


def page(found: Found) -> str:
    """All of it, to read."""
    parts = [found.board or "Nothing was measured."]
    if found.failed:
        parts.append("\n".join(["Not measured:", *(f"- {name}: {why}" for name, why in found.failed.items())]))
    if found.absent:
        lines = [f"- {file['name']}, from {file['source']}; it goes into {file['folder']}" for file in found.absent]
        parts.append("\n".join(["Not on this machine:", *lines]))
    return "\n\n".join([*parts, *(["Files:\n" + "\n".join(found.files)] if found.files else [])])


def _call(node: type, **given: Any) -> tuple[Any, ...]:
    """What a node gives, without what it shows."""
    given = {**_defaults(node), **given}
    returned = getattr(node(), node.FUNCTION)(**given)  # pyright: ignore[reportAttributeAccessIssue]
    return returned["result"] if isinstance(returned, dict) else returned


def _defaults(node: type) -> dict[str, Any]:
    """Of the required inputs that have one, as the page fills them in."""
    types = node.INPUT_TYPES()["required"]  # pyright: ignore[reportAttributeAccessIssue]
    return {name: options["default"] for name, (_, options) in types.items() if "default" in options}


def _reference(nodes: Mapping[str, type], wish: Wish, extractor: host.Handle) -> tuple[Any, ...]:
    if not wish.reference:
        return _call(nodes["TrilemmaExampleReference"], reference=next(iter(catalog.REFERENCES)))
    folder = {"location": "input", "folder": wish.reference, "subfolders": True, "skip_corrupt": True}
    return _call(nodes["TrilemmaFolderFeatures"], extractor=extractor, **folder)


def _measure(nodes: Mapping[str, type], name: str, wish: Wish, extractor: host.Handle, reference: Any) -> Scores:
    (handle, *_) = _call(nodes["TrilemmaLoadGenerator"], model=name)
    bound: Bound = handle.model
    descriptor = bound.generator.descriptor
    if 0 < descriptor.num_classes <= wish.count:
        bound = bound.with_conditions(read_conditions(descriptor, EVERY_CLASS))
    elif "prompt" in descriptor.conditions and wish.prompts:
        bound = bound.with_conditions(read_conditions(descriptor, "\n".join(wish.prompts)))
    (scored, *_) = _call(
        nodes["TrilemmaBenchmarkGenerator"],
        generator=handle._replace(model=bound),
        extractor=extractor,
        reference=reference,
        num_images=wish.count,
        first_seed=wish.seed,
        filename_prefix=f"{FOLDER}/systems/{_plain(name)}",
        name=name.removeprefix("starter ").removesuffix(".safetensors"),
    )
    return scored


def _plain(name: str) -> str:
    """A name for files."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def _board(measured: Sequence[Scores], sort_by: str) -> Any:
    return leaderboard(measured, sort_by, published=tables_of(ALL))


def _write(measured: Sequence[Scores], sort_by: str) -> list[str]:
    """The board of what is measured so far, in place of the one before."""
    board = _board(measured, sort_by)
    root = host.output_folder() / FOLDER
    root.mkdir(parents=True, exist_ok=True)
    texts = {
        "board.md": to_markdown(board),
        "board.csv": to_csv(board),
        "board.json": to_json(board, "fid", "recall"),
        "scores.json": json.dumps([json.loads(reports.to_json(each)) for each in measured], indent=1),
    }
    for file, text in texts.items():
        with replacing(root / file) as stream:
            stream.write(text.encode())
    plots = [draw_trilemma(group, "fid", "recall", THEME)[0] for group in board.groups]
    pictures = {"table.png": draw_table(board, THEME)[0]}
    pictures |= {f"trilemma_{place}.png": plot for place, plot in enumerate(plots, 1)}
    for file, picture in pictures.items():
        write_png(root / file, picture)
    return [f"{FOLDER}/{file}" for file in (*texts, *pictures)]
