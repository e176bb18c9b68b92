"""Writers that are killed at random moments: what is there is whole, and what comes next is right."""

import os
import random
import shutil

import pytest
from trilemma.tests.faults.killing import extent, hidden, killed, moments, settle, visible
from trilemma.tests.faults.writers import WRITERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot copy a process"),
]

FEW = 6
"""Moments of each writer in `make test`."""


@pytest.mark.parametrize("name", WRITERS)
def test_a_killed_writer_leaves_whole_files_and_the_next_one_is_right(name, tmp_path, faults):
    writer, rng = WRITERS[name], random.Random(name)
    older, newer, left = tmp_path / "older", tmp_path / "newer", 0
    older.mkdir()
    for version in (3, 2, 1):
        # The weights that are to be converted are there before.
        writer.prepare(older, version)
    writer.write(older, 1)
    shutil.copytree(older, newer)
    before = visible(older)
    whole = extent(lambda: writer.write(newer, 2), newer)
    after = visible(newer)
    assert before and after != before and not hidden_parts(newer)
    new = after.keys() - before.keys()
    for number, moment in enumerate(moments(whole, faults or FEW, rng)):
        folder = tmp_path / str(number)
        shutil.copytree(older, folder)
        dead = killed(lambda: writer.write(folder, 2), moment, folder)  # noqa: B023 (called at once)
        found = visible(folder)
        case = f"{name}, killed at {moment} of {whole}"
        assert all(found[file] in (before.get(file), after.get(file)) for file in found), case
        assert before.keys() <= found.keys() | (before.keys() - after.keys()), case
        if not writer.grows:
            # Added features that were there before the kill are refused, as they must be: they count once.
            if not (name == "features added" and found == after):
                writer.write(folder, 2)
            assert visible(folder) == after, case
        settle(folder)
        writer.write(folder, 3)
        assert not hidden_parts(folder), case
        if writer.grows:
            then = visible(folder)
            assert all(then[file] == found[file] for file in found), case
            # What was killed while its files appeared has appeared since.
            assert not writer.together or (len(then) - len(before)) % len(new) == 0, f"{case}: {sorted(then)}"
        left += dead
        shutil.rmtree(folder)
    print(f"{name}: {left} killed, {whole}")
    assert left


def hidden_parts(folder):
    """But for the sources of what is converted."""
    return [each for each in hidden(folder) if not each.startswith(".source")]
