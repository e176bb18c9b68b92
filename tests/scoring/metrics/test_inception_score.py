"""The Inception score against torch-fidelity's and torchmetrics' answers, and on classes known beforehand."""

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring.metrics.inception_score import inception_score, inception_score_of_logits
from trilemma.tests.scoring import recipes


@pytest.mark.slow
@pytest.mark.parametrize("name", ["n500_d64", "n500_d2048_rank_deficient"])
def test_it_agrees_with_torch_fidelity(name):
    case = recipes.case(name)
    order = torch.from_numpy(np.random.RandomState(2020).permutation(len(case.logits)))
    for logits, library in (
        (case.logits[order], "torch_fidelity splits=10 shuffle rng_seed=2020"),
        (case.logits, "torch_fidelity splits=10 no shuffle"),
    ):
        found = inception_score_of_logits(logits, 10)
        recorded = case.recorded["isc"][library]
        assert found.mean == pytest.approx(recorded["inception_score_mean"], rel=1e-12)
        assert found.std == pytest.approx(recorded["inception_score_std"], rel=1e-9)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # of its memory, and of the deviation of one split
def test_it_agrees_with_torchmetrics():
    from torchmetrics.image.inception import InceptionScore

    metric = InceptionScore(feature=torch.nn.Identity(), splits=1)
    logits = torch.randn(40, 7, generator=torch.Generator().manual_seed(0))
    metric.update(logits)
    assert inception_score_of_logits(logits).mean == pytest.approx(float(metric.compute()[0]), rel=1e-5)


def test_it_counts_the_classes_that_are_told_apart():
    sure = 100 * torch.eye(4).repeat(3, 1)
    assert inception_score_of_logits(sure).mean == pytest.approx(4)
    assert inception_score_of_logits(torch.zeros(8, 4)).mean == pytest.approx(1)
    assert inception_score_of_logits(sure[:1].repeat(5, 1)).mean == pytest.approx(1)


def test_certain_classes_and_classes_that_never_occur_are_numbers():
    logits = torch.tensor([[0.0, -torch.inf, -torch.inf], [-torch.inf, 0.0, -torch.inf]])
    log_p = logits.double().log_softmax(dim=1)
    p = log_p.exp()
    found = inception_score(torch.tensor([2]), p.sum(dim=0)[None], torch.xlogy(p, p).sum()[None])
    assert found.mean == pytest.approx(2)


def test_splits_are_their_own_scores():
    logits = torch.randn(23, 5, generator=torch.Generator().manual_seed(0))
    found = inception_score_of_logits(logits, 3)
    parts = [inception_score_of_logits(part).mean for part in (logits[:7], logits[7:15], logits[15:])]
    assert found.splits == pytest.approx(parts)
    assert found.mean == pytest.approx(np.mean(parts))
    assert found.std == pytest.approx(np.std(parts))


def test_an_empty_split_is_refused():
    with pytest.raises(BadInput, match="2 of 5 have no sample"):
        inception_score_of_logits(torch.zeros(3, 4), 5)


def test_values_that_are_not_numbers_are_refused():
    with pytest.raises(BadInput, match="logits: 1 values are NaN"):
        inception_score_of_logits(torch.tensor([[0.0, torch.nan]]))


def test_empty_splits_are_told_with_what_can_be_done():
    with pytest.raises(BadInput, match=r"splits: 7 of 10 have no sample; give more images, at least one for each\."):
        inception_score_of_logits(torch.zeros(3, 4), 10)
