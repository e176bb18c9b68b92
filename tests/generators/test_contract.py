"""What holds for generators of every family: runs, noise, options, memory of long runs."""

import pytest
import torch
from trilemma.models.errors import BadInput, CannotDo
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound, sample, total_steps
from trilemma.tests.generators.toy import Toy
from trilemma.tests.peak_memory import peak_bytes

TWO = (Condition("light"), Condition("dark"))


def run(count, batch_size, first=0, seed=2**64 - 2):
    batches = list(sample(Bound(Toy(), conditions=TWO), count, seed, batch_size, first=first))
    return [request for batch in batches for request in batch.requests], torch.cat([b.images for b in batches])


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_run_can_be_cut_anywhere(batch_size):
    requests, images = run(8, batch_size)
    assert [request.index for request in requests] == list(range(8))
    assert [request.seed for request in requests[:4]] == [2**64 - 2, 2**64 - 1, 0, 1]
    assert [request.condition for request in requests[:3]] == [*TWO, TWO[0]]
    late, tail = run(3, batch_size, first=5)
    assert late == requests[5:]
    torch.testing.assert_close(tail, images[5:], rtol=0, atol=1e-6)


@pytest.mark.parametrize("draw", [noise.normal, noise.uniform])
def test_noise_is_the_same_to_the_bit_in_every_batch(draw):
    requests = noise.requests(8, 41, TWO)
    together = draw(noise.generators(requests), (5,))
    for size in (1, 3):
        parts = [draw(noise.generators(requests[start : start + size]), (5,)) for start in range(0, 8, size)]
        assert torch.equal(torch.cat(parts), together)
    assert len({tuple(row.tolist()) for row in together}) == 8


def test_a_condition_does_not_change_the_noise_behind_it():
    descriptor = Toy().descriptor
    free, named = (noise.requests(6, 3, conditions) for conditions in ((Condition(),), TWO))
    generators = noise.generators(free), noise.generators(named)
    drawn, given = (noise.labels(descriptor, *pair) for pair in zip((free, named), generators, strict=True))
    assert set(drawn.tolist()) == {0, 1}
    assert given.tolist() == [0, 1] * 3
    assert torch.equal(*(noise.normal(several, (4,)) for several in generators))


def test_steps_are_counted_over_all_batches():
    bound, steps = Bound(Toy()), []
    for _ in sample(bound, 5, 0, 2, lambda done, preview=None: steps.append(done)):
        pass
    assert steps == [2, 4, 6, 8, 9, 10]
    assert total_steps(bound, 5) == 10


@pytest.mark.parametrize(("count", "batch_size", "name"), [(0, 1, "num_images"), (1, 0, "batch_size")])
def test_runs_of_nothing(count, batch_size, name):
    with pytest.raises(BadInput, match=f"{name}: 0 is below the least possible, 1"):
        next(sample(Bound(Toy()), count, 0, batch_size))


def test_memory_is_bound_by_the_batch_not_the_count():
    class Quick(Toy):
        def draw(self, requests, options, on_step):
            return torch.rand(len(requests), 8, 8, 3)

    def consume(count):
        for _ in sample(Bound(Quick()), count, 0, 50):
            pass

    consume(50)
    assert peak_bytes(lambda: consume(10_000)) <= 1.1 * peak_bytes(lambda: consume(100))


def test_options_are_kept_and_refined():
    bound = Bound(Toy()).with_options("gan", {"truncation_psi": 0.5}).with_options("gan", {"truncation_psi": 1.0})
    assert bound.settings == {"truncation_psi": 0.5}
    with pytest.raises(CannotDo, match=r"truncation_cutoff: Toy has no such option; set it to 0\. Its options: trunc"):
        bound.with_options("gan", {"truncation_cutoff": 3})
