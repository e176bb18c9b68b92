"""Tests of an accelerator: all skipped, in one line, where torch sees none; their figures are printed as a table.

`TRILEMMA_TEST_DEVICE=cpu` rehearses them on a processor in the accelerator's place, without those of its memory.
"""

from pathlib import Path

import pytest
from trilemma.tests.device import accelerator, figures

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(config, items):
    """Without an accelerator one skipped test stands for all of this folder, so that the report says it in one line."""
    here = [item for item in items if HERE in item.path.parents]
    for item in here:
        item.add_marker(pytest.mark.device)
    if not here or accelerator.DEVICE is not None:
        return
    reason = f"torch sees no accelerator, so none of the {len(here)} tests on one"
    here[0].add_marker(pytest.mark.skip(reason=reason))
    items[:] = [item for item in items if item not in here[1:]]
    config.hook.pytest_deselected(items=here[1:])


def pytest_terminal_summary(terminalreporter):
    for line in figures.table():
        terminalreporter.write_line(line)


@pytest.fixture
def device():
    return accelerator.DEVICE
