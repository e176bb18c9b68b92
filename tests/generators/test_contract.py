"""What holds for generators of every family: runs, noise, options, the registry, memory of long runs."""

import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound, sample, total_steps
from trilemma.models.generators.loading import full_precision
from trilemma.models.generators.registry import Architecture, Registry, load_strictly
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


def architecture(name, prefix):
    return Architecture(
        name,
        lambda tensors: any(key.startswith(prefix) for key in tensors),
        lambda checkpoint: name,
        lambda: frozenset({f"{prefix}.weight", f"{prefix}.bias"}),
    )


def test_large_networks_alone_are_told_the_dtype():
    registry = Registry()
    told = architecture("large", "a")._replace(load=lambda checkpoint, dtype_for: dtype_for(7), large=True)
    registry.register(told, architecture("small", "b"))
    assert registry.load(Checkpoint({"a": torch.zeros(1)}, {}), "file.pt", full_precision) is torch.float32
    assert registry.load(Checkpoint({"b": torch.zeros(1)}, {}), "file.pt", full_precision) == "small"


def test_the_registry_stays_as_it_was_after_a_failed_registration():
    registry = Registry()
    registry.register(architecture("one", "a"))
    for several in ([architecture("two", "b"), architecture("one", "c")], [architecture("two", "b")] * 2):
        with pytest.raises(ValueError, match="is registered already"):
            registry.register(*several)
    assert registry.names() == ["one"]


def test_files_of_no_architecture_or_of_several():
    registry = Registry()
    registry.register(architecture("one", "a"), architecture("two", "ab"))
    tensors = {"a.weight": torch.zeros(1)}
    assert registry.load(Checkpoint(tensors, {}), "file.pt", full_precision) == "one"
    with pytest.raises(BadCheckpoint, match=r"file.pt: it could be any of one, two"):
        registry.load(Checkpoint({"ab.weight": torch.zeros(1)}, {}), "file.pt", full_precision)
    with pytest.raises(BadCheckpoint, match=r"its first tensors are x.weight\).*shares no tensor with any"):
        registry.load(Checkpoint({"x.weight": torch.zeros(1)}, {}), "file.pt", full_precision)
    registry = Registry()
    registry.register(architecture("one", "a")._replace(detect=lambda tensors: False))
    with pytest.raises(BadCheckpoint, match=r"Nearest is one: 1 of its tensors are missing \(a.bias\) and 1 are unexp"):
        registry.load(Checkpoint({**tensors, "x.weight": torch.zeros(1)}, {}), "file.pt", full_precision)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bias": None}, r"lacks: bias \(1 in all\)"),
        ({"more": torch.zeros(1)}, r"has too much: more \(1 in all\)"),
        ({"bias": torch.zeros(3)}, r"has other shapes: bias \(3,\) instead of \(2,\)"),
    ],
)
def test_loading_is_strict(change, message):
    layer = torch.nn.Linear(2, 2)
    tensors = {name: value for name, value in {**layer.state_dict(), **change}.items() if value is not None}
    with pytest.raises(BadCheckpoint, match=message):
        load_strictly(layer, tensors, "Linear")


def test_weights_are_loaded_as_float32():
    layer = torch.nn.Linear(2, 2)
    load_strictly(layer, {"weight": torch.ones(2, 2, dtype=torch.float16), "bias": torch.ones(2)}, "Linear")
    assert layer.weight.dtype == torch.float32
    assert not layer.weight.requires_grad
