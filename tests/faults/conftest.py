"""The option that asks for more faults than seconds allow."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--faults", type=int, default=0, help="so many moments of each writer, run and node")


@pytest.fixture
def faults(request):
    """How many moments are asked for; 0 for a few."""
    return request.config.getoption("faults", default=0)
