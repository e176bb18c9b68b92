"""AuthPct and C_T against dgm-eval's, which takes them from their authors."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.metrics import neighbours
from trilemma.models.scoring.metrics.copying import authentic_percentage, data_copying, partition, z_score
from trilemma.models.scoring.metrics.neighbours import nearest, radii
from trilemma.tests.scoring import recipes


def features(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def quadrants(rows: torch.Tensor) -> torch.Tensor:
    """The kit's cells: by the signs of the first two features."""
    right, above = rows[:, 0] > 0, rows[:, 1] > 0
    return right.long() + (right & above).long()


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes.THREES)
def test_they_are_dgm_evals(name):
    case = recipes.three(name)
    recorded = case.recorded["dgm_eval"]
    sets = (case.generated, case.held_out, case.training)
    assert authentic_percentage(case.generated, case.training) == pytest.approx(recorded["authpct"], abs=1e-9)
    distances = [nearest(rows, case.training).distances for rows in (case.generated, case.held_out)]
    assert z_score(*distances) == pytest.approx(recorded["zu_global"], rel=1e-9)
    cells = quadrants(case.generated), quadrants(case.held_out), quadrants(case.training)
    assert data_copying(*sets, cells) == pytest.approx(recorded["ct_given_cells"], rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["copy_d32", "exact_copy_d16"])
def test_copies_are_seen_whatever_the_cells(name):
    case = recipes.three(name)
    (generated, held_out, training), cells = partition(case.training, (case.generated, case.held_out), 0)
    found = data_copying(generated, held_out, training, cells)
    # scikit-learn's k-means draws other starts.
    assert found == pytest.approx(case.recorded["dgm_eval"]["ct_np_seed_0"], rel=0.03)


def test_the_cells_are_those_of_plain_clusters():
    centres = 20 * torch.eye(3, 70)
    which = torch.arange(90) % 3
    rows = centres[which] + features(90, 70)
    sets, cells = partition(rows, (rows[:30],), 0)
    assert [len(each) for each in sets] == [30, 90]
    assert sets[0].shape[1] == 64
    assert len({(a, b) for a, b in zip(which.tolist(), cells[1].tolist(), strict=True)}) == 3
    assert torch.equal(cells[0], cells[1][:30])


@pytest.mark.parametrize("block", [1024, 7])
def test_the_nearest_of_all(monkeypatch, block):
    monkeypatch.setattr(neighbours, "_BLOCK", block)
    x, y = features(23, 5), features(31, 5, 1)
    distances = torch.cdist(x.double(), y.double())
    found = nearest(x, y)
    assert torch.equal(found.places, distances.argmin(dim=1))
    assert torch.allclose(found.distances.double(), distances.amin(dim=1))
    assert torch.equal(nearest(y[:9], y).distances, torch.zeros(9))
    own = torch.cdist(y.double(), y.double()).fill_diagonal_(torch.inf)
    assert torch.allclose(radii(y, 1).double(), own.amin(dim=1))


def test_equal_distances_count_half():
    assert z_score(torch.zeros(4), torch.zeros(4)) == pytest.approx(0.5 / (4 * 4 * 9 / 12) ** 0.5)


def test_too_few_for_any_cell():
    x = features(20, 3)
    with pytest.raises(BadInput, match="no cell has more than 20"):
        data_copying(x, x, x, (torch.zeros(20), torch.zeros(20), torch.zeros(20)))
