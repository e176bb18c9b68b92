"""The streaming pass: order, sizes, halving, and a thread that never outlives the call."""

import threading

import pytest
import torch
from trilemma.host.batches import halve
from trilemma.models.errors import BadInput
from trilemma.models.files.catalog import starter_folder
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.features.extraction import Named, accumulate, fitting_batch, stream
from trilemma.models.scoring.features.keys import hash_keys

TAPS = ("features",)


@pytest.fixture(scope="module")
def extractor():
    return EXTRACTORS.load(starter_folder("extractor", "starter emoji classifier")).with_resize("clean")


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def named(count, sizes=((32, 32),)):
    generator = torch.Generator().manual_seed(1)
    shapes = [(*sizes[index % len(sizes)], 3) for index in range(count)]
    pixels = [torch.randint(256, shape, generator=generator, dtype=torch.uint8) for shape in shapes]
    return [Named(f"image {index}", index, values) for index, values in enumerate(pixels)]


class _Wrapped:
    """An extractor to change one thing of."""

    def __init__(self, extractor):
        self._extractor = extractor

    def __getattr__(self, name):
        return getattr(self._extractor, name)

    def extract(self, prepared, taps):
        return self._extractor.extract(prepared, taps)


def features_of(batches):
    return torch.cat([batch.answers.taps[0] for batch in batches])


def test_batches_come_in_order(extractor):
    images = named(7)
    steps = []
    batches = list(stream(extractor, iter(images), TAPS, 3, steps.append))
    assert [len(batch.keys) for batch in batches] == [3, 3, 1]
    assert steps == [3, 6, 7]
    assert torch.equal(torch.cat([batch.keys for batch in batches]), hash_keys(image.name for image in images))
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(7))
    whole = extractor.extract(extractor.prepare(torch.stack([image.pixels for image in images])), TAPS)
    torch.testing.assert_close(features_of(batches), whole.taps[0], rtol=0, atol=1e-6)
    found = torch.cat([batch.answers.log_probabilities for batch in batches])
    torch.testing.assert_close(found, whole.log_probabilities, rtol=0, atol=1e-5)


def test_no_images_no_batches(extractor):
    assert list(stream(extractor, [], TAPS, 3)) == []


@pytest.mark.slow
def test_images_of_several_sizes_share_a_batch(extractor):
    images = named(8, ((32, 32), (40, 20), (40, 20)))
    together = features_of(stream(extractor, images, TAPS, 8))
    alone = features_of(stream(extractor, images, TAPS, 1))
    assert (together - alone).abs().max() <= 1e-6 * together.abs().max()


def test_images_are_read_while_the_network_works(extractor):
    read = threading.Event()

    class Waiting(_Wrapped):
        def extract(self, prepared, taps):
            assert read.wait(timeout=60)
            return super().extract(prepared, taps)

    def images():
        yield from named(4)
        read.set()

    assert len(list(stream(Waiting(extractor), images(), TAPS, 2))) == 2


def test_only_what_is_needed_soon_is_read(extractor):
    read = []

    def images():
        for image in named(40):
            read.append(image.index)
            yield image

    batches = stream(extractor, images(), TAPS, 2)
    next(batches)
    batches.close()
    assert len(read) <= 8


def test_what_the_images_raise_is_raised_to_the_caller(extractor):
    error = BadInput("picture 3 is broken")

    def images():
        yield from named(5)
        raise error

    taken = []
    with pytest.raises(BadInput) as caught:
        taken.extend(stream(extractor, images(), TAPS, 2))
    assert caught.value is error
    assert threading.current_thread() is threading.main_thread()


def test_an_interrupt_ends_the_thread(extractor):
    def interrupt(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        accumulate(extractor, named(20), TAPS, "set", 2, on_step=interrupt)


def test_images_are_read_in_another_thread_under_the_callers_inference_mode(extractor):
    seen = []

    def images():
        for image in named(2):
            seen.append((threading.current_thread() is threading.main_thread(), torch.is_inference_mode_enabled()))
            yield image

    with torch.inference_mode():
        list(stream(extractor, images(), TAPS, 2))
    list(stream(extractor, images(), TAPS, 2))
    assert seen == [(False, True)] * 2 + [(False, False)] * 2


class _Small(_Wrapped):
    """On a device for two images."""

    def __init__(self, extractor):
        super().__init__(extractor)
        self.sizes = []

    def extract(self, prepared, taps):
        self.sizes.append(len(prepared))
        if len(prepared) > 2:
            raise torch.OutOfMemoryError("three are too many")
        return super().extract(prepared, taps)


@pytest.mark.slow
def test_a_batch_that_does_not_fit_is_taken_in_parts_and_so_are_the_next(extractor):
    small = _Small(extractor)

    def halving(run, size):
        return halve(run, size, lambda error: isinstance(error, torch.OutOfMemoryError), lambda: None)

    images = named(14)
    found = list(stream(small, images, TAPS, 6, halving=halving))
    assert small.sizes == [6, 3] + [1] * 14
    torch.testing.assert_close(features_of(found), features_of(stream(extractor, images, TAPS, 6)), rtol=0, atol=1e-6)
    with pytest.raises(torch.OutOfMemoryError):
        list(stream(small, images, TAPS, 6))


@pytest.mark.slow
def test_accumulated_features_do_not_depend_on_the_batch_size(extractor):
    images = named(20)
    first, second = (accumulate(extractor, images, TAPS, "set", size, 8, seed=3) for size in (20, 3))
    assert first.name == "set"
    assert first.source == extractor.source
    assert first.count == second.count == 20
    assert torch.equal(first.rows.keys, second.rows.keys)
    assert len(first.rows.keys) == 8
    for one, other in zip(first.taps[0].statistics[1:], second.taps[0].statistics[1:], strict=True):
        assert (one - other).abs().max() <= 1e-6 * one.abs().max()
    torch.testing.assert_close(first.classes.probabilities, second.classes.probabilities, rtol=0, atol=1e-5)


def test_repeated_images_are_refused(extractor):
    images = named(4)
    with pytest.raises(BadInput, match="counted already"):
        accumulate(extractor, images + images[:1], TAPS, "set", 2)


def test_batch_sizes_of_the_nodes_own_choice(extractor):
    assert fitting_batch(extractor, 5) == 5
    assert fitting_batch(extractor, 10**6) == 64
