"""The measuring instrument itself, on calls whose peak is known by counting."""

import pytest
import torch
from trilemma.tests.peak_memory import peak_bytes

MIB = 2**20
FLOATS = MIB // 4


def test_one_tensor_counts_its_bytes():
    assert peak_bytes(lambda: torch.zeros(FLOATS)) == MIB


def test_freed_tensors_do_not_add_up():
    def run():
        for _ in range(10):
            torch.zeros(FLOATS)

    assert peak_bytes(run) <= 2 * MIB


def test_kept_tensors_add_up():
    assert peak_bytes(lambda: [torch.zeros(FLOATS) for _ in range(10)]) == 10 * MIB


def test_older_storages_views_and_in_place_results_count_nothing():
    old = torch.zeros(1024, FLOATS // 1024)

    def run():
        old.add_(1)
        return old.t()[3:], old.view(-1), old.detach()

    assert peak_bytes(run) == 0


def test_the_peak_is_inside_not_at_the_end():
    def run():
        wide = torch.ones(8, FLOATS)
        return wide.sum()

    assert peak_bytes(run) == 8 * MIB + 4


@pytest.mark.parametrize("inference", [False, True])
def test_intermediates_of_composite_operators_count(inference):
    # One head of 512 x 512: query @ key^T makes 1 MiB of scores, which the output alone would not show.
    query = torch.randn(512, 4)

    def run():
        return torch.einsum("ik,jk->ij", query, query).sum()

    with torch.inference_mode(inference):
        assert peak_bytes(run) == pytest.approx(MIB, rel=0.05)


def test_a_forward_pass_with_gradients_keeps_its_activations():
    layers = torch.nn.Sequential(*(torch.nn.Linear(512, 512) for _ in range(4)))
    x = torch.randn(512, 512, requires_grad=True)

    with_grad = peak_bytes(lambda: layers(x).relu())
    with torch.no_grad():
        without = peak_bytes(lambda: layers(x).relu())
    assert without <= 2 * MIB + 4096
    assert with_grad >= 4 * MIB
