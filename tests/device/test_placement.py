"""Networks come onto the device and leave it, and a batch for which memory does not suffice is halved."""

from itertools import pairwise

import pytest
import torch
from trilemma import host
from trilemma.models.files.catalog import starter_folder
from trilemma.models.generators.binding import Bound, total_steps
from trilemma.models.generators.loading import load_generator
from trilemma.models.generators.sampling import Samples
from trilemma.models.scoring.extractors.base import Extractor
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.features.extraction import answer
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.device import accelerator, figures

LEFT = 2 * 2**30
"""Bytes that are free when memory runs out."""


@pytest.fixture(scope="module")
def generator():
    return load_generator(starter_folder("generator", "starter emoji stylegan2"))


def devices(model) -> set[str]:
    return {parameter.device.type for module in model.modules for parameter in module.parameters()}


def test_networks_are_there_for_the_block(generator, device):
    handle = host.hold(Bound(generator), generator.modules)
    bare = Samples(handle.model, 4, 0).fill(4)
    with host.placed(handle, memory=generator.memory_bytes(4)) as placed:
        assert placed.type == host.compute_device().type
        assert devices(generator) == {placed.type}
        images = Samples(handle.model, 4, 0).fill(4)
    assert devices(generator) == {"cpu"}
    assert images.device.type == "cpu"
    assert_close(images, bare, 2e-3)


@accelerator.needs_memory
def test_nothing_of_a_network_stays_behind(generator):
    handle = host.hold(Bound(generator), generator.modules)
    before = torch.cuda.memory_allocated()
    with host.placed(handle, memory=generator.memory_bytes(4)):
        Samples(handle.model, 4, 0).fill(4)
        assert torch.cuda.memory_allocated() > before
    assert torch.cuda.memory_allocated() == before


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    path = tmp_path_factory.mktemp("metrics") / "inception.pth"
    torch.save(reference_kit.weights(reference_kit.case("inception_fid")), path)
    return EXTRACTORS.load(path).with_resize("pytorch-fid")


@pytest.fixture
def little_memory(inception):
    """All but LEFT bytes of the card are taken."""
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(free - LEFT, dtype=torch.uint8, device="cuda")
    yield
    del taken
    torch.cuda.empty_cache()


@accelerator.needs_memory
def test_a_batch_that_does_not_fit_is_halved(inception: Extractor, little_memory):
    images = 512
    assert inception.memory_bytes(images) > 2 * LEFT
    pictures = torch.randint(0, 256, (8, 64, 64, 3), generator=torch.Generator().manual_seed(0)).byte()
    prepared = inception.prepare(pictures)
    few = answer(inception, prepared, (inception.main,), 8).taps[0]
    tried = []

    def run(size: int) -> torch.Tensor:
        tried.append(size)
        return answer(inception, prepared.repeat(images // 8, 1, 1, 1), (inception.main,), size).taps[0]

    with host.placed(host.hold(inception, inception.modules), memory=0):
        found = host.halving(run, images)
    assert tried[0] == images
    assert len(tried) > 1
    assert all(later == earlier // 2 for earlier, later in pairwise(tried))
    assert_close(found, few.repeat(images // 8, 1), 2e-3)
    figures.NOTES.append(f"\nWith {LEFT / 2**30:.0f} GiB free, {images} pictures for Inception went by {tried[-1]}.")


def test_an_interrupt_stops_within_one_step(generator):
    handle = host.hold(Bound(generator), generator.modules)
    done = []

    def on_step(step: int, preview: torch.Tensor | None = None) -> None:
        done.append(step)
        host.interrupt()
        host.check_interrupted()

    with host.placed(handle, memory=0), pytest.raises(KeyboardInterrupt):
        Samples(handle.model, 8, 0, on_step).fill(2)
    assert done[0] <= 2 < total_steps(handle.model, 8)
    assert len(done) == 1
    assert devices(generator) == {"cpu"}
