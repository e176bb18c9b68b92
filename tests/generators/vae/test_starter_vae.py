import math

import pytest
import torch
from trilemma.models.files import catalog
from trilemma.models.generators import loading
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound, sample
from trilemma.tests.closeness import assert_close

STARTER = catalog.starter_folder("generator", "starter emoji vae")


@pytest.fixture(scope="module")
def starter():
    return loading.load_generator(STARTER)


@pytest.mark.slow
def test_samples_do_not_depend_on_the_batch(starter):
    bound = Bound(starter)
    whole = next(sample(bound, 8, 2**64 - 5, 8))
    for size in (1, 3):
        batches = list(sample(bound, 8, 2**64 - 5, size))
        requests = [batch.requests for batch in batches]
        latents = torch.cat([starter.latents(some, bound.settings).values for some in requests])
        assert_close(latents, starter.latents(whole.requests, bound.settings).values)
        assert torch.allclose(torch.cat([batch.images for batch in batches]), whole.images, atol=1e-3, rtol=0)


def test_it_knows_its_classes(starter):
    assert len(starter.descriptor.class_names) == 32
    bound = Bound(starter).with_conditions([Condition("heart"), Condition("tree")])
    (batch,) = sample(bound, 16, 0, 16)
    middles = batch.images[:, 10:22, 10:22].mean(dim=(1, 2))
    heart, tree = middles[0::2].mean(dim=0), middles[1::2].mean(dim=0)
    assert heart[0] > heart[1] + 0.2
    assert tree[1] > tree[0] + 0.02


@pytest.mark.slow
def test_it_gives_its_own_samples_back(starter):
    bound = Bound(starter)
    (batch,) = sample(bound, 32, 0, 32)
    with torch.no_grad():
        restored = starter.decode(starter.encode(batch.images), [], {})
    error = float((restored - batch.images).square().mean())
    assert -10 * math.log10(error) > 20
