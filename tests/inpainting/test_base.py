"""What every inpainter promises, whatever its family: only what lies under the mask changes, and images stay apart."""

from collections.abc import Sequence

import pytest
import torch
from torch import nn
from trilemma.models.errors import BadInput
from trilemma.models.inpainting.base import Inpainter, InpaintRequest, Paint
from trilemma.models.steps import OnStep
from trilemma.tests.closeness import assert_close

HEIGHT, WIDTH, STEPS = 6, 5, 3


class Noise(Inpainter):
    """Paints with the numbers of each image's generator, from 2 on: no image holds one of them."""

    architecture = "noise"
    native_resolution = HEIGHT

    def __init__(self) -> None:
        self.modules = (nn.Linear(2, 2),)
        self.prompts: list[str] = []
        self.holes: list[torch.Tensor] = []

    def painter(self, request: InpaintRequest) -> Paint:
        self.prompts.append(request.prompt)

        def paint(
            images: torch.Tensor, holes: torch.Tensor, generators: Sequence[torch.Generator], on_step: OnStep, /
        ) -> torch.Tensor:
            self.holes.append(holes)
            for done in range(1, request.steps + 1):
                on_step(done, images[0] if done == request.steps else None)
            return torch.stack([2 + torch.rand(images.shape[1:], generator=generator) for generator in generators])

        return paint

    def steps(self, request: InpaintRequest) -> int:
        return request.steps

    def memory_bytes(self, batch_size: int, height: int, width: int) -> int:
        return 4 * batch_size * height * width * 3


def request(count: int = 4, channels: int = 3, seed: int = 0) -> InpaintRequest:
    generator = torch.Generator().manual_seed(1)
    masks = torch.zeros(count, HEIGHT, WIDTH)
    masks[:, 1:4, 1:4] = torch.tensor([0.0, 0.25, 1.0]).expand(count, 3, 3)
    images = torch.rand(count, HEIGHT, WIDTH, channels, generator=generator)
    return InpaintRequest(images, masks, "a cat", steps=STEPS, seed=seed)


def own_numbers(seed: int) -> torch.Tensor:
    return 2 + torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_only_the_hole_changes_by_the_masks_share(batch_size, channels):
    asked = request(channels=channels)
    kept = asked.images.clone()
    found = Noise().inpaint(asked, batch_size)
    assert torch.equal(asked.images, kept)
    assert torch.equal(found[asked.masks == 0], kept[asked.masks == 0])
    assert torch.equal(found[..., 3:], kept[..., 3:])
    for index, (before, after) in enumerate(zip(kept, found, strict=True)):
        share = asked.masks[index][..., None]
        assert_close(after[..., :3], before[..., :3] * (1 - share) + own_numbers(index) * share)


def test_seeds_wrap_at_64_bits():
    found = Noise().inpaint(request(seed=2**64 - 1)._replace(masks=torch.ones(1, HEIGHT, WIDTH)), batch_size=4)
    for image, seed in zip(found, (2**64 - 1, 0, 1, 2), strict=True):
        assert torch.equal(image, own_numbers(seed))


@pytest.mark.parametrize(
    ("threshold", "hole"), [(0.1, [0, 0, 1, 1, 1]), (0.5, [0, 0, 0, 1, 1]), (0.0, [0, 1, 1, 1, 1])]
)
def test_the_model_repaints_from_the_threshold_on(threshold, hole):
    values = torch.tensor([0.0, 0.04, 0.1, 0.5, 0.9961])
    model, asked = Noise(), request()._replace(masks=values.expand(4, HEIGHT, WIDTH), mask_threshold=threshold)
    found = model.inpaint(asked, batch_size=4)
    assert torch.equal(model.holes[0], torch.tensor(hole).float().expand(4, HEIGHT, WIDTH))
    # Dust stays bit for bit, white is all the model's.
    dust = torch.tensor(hole) == 0
    assert torch.equal(found[:, :, dust], asked.images[:, :, dust])
    for index, image in enumerate(found):
        assert torch.equal(image[:, -1, :3], own_numbers(index)[:, -1])


@pytest.mark.parametrize("dust", [4.6e-5, 1 / 255, 0.09])
def test_a_mask_of_dust_runs_nothing(dust):
    model, asked = Noise(), request()._replace(masks=torch.full((4, HEIGHT, WIDTH), dust))
    assert torch.equal(model.inpaint(asked), asked.images)
    assert not model.prompts


@pytest.mark.parametrize("masks", [torch.zeros(1, 64, 64), torch.zeros(4, HEIGHT, WIDTH)])
def test_without_a_hole_nothing_runs(masks):
    model, asked = Noise(), request()._replace(masks=masks)
    assert torch.equal(model.inpaint(asked), asked.images)
    assert not model.prompts


def test_images_without_a_hole_pass_and_count_as_done():
    asked, told = request(), []
    asked.masks[1] = 0
    model = Noise()
    found = model.inpaint(asked, 2, lambda done, preview=None: told.append((done, preview is not None)))
    assert torch.equal(found[1], asked.images[1])
    assert told == [(5, False), (7, False), (9, True), (10, False), (11, False), (12, True)]
    assert model.prompts == ["a cat"], "prompts are encoded once, whatever the number of batches"


def test_an_interrupt_stops_the_run():
    told = []

    def stop(done: int, preview: torch.Tensor | None = None) -> None:
        told.append(done)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Noise().inpaint(request(), on_step=stop)
    assert told == [1]


def test_identity_is_of_all_weights():
    model = Noise()
    before = model.identity
    same, other = Noise(), Noise()
    same.modules, other.modules = model.modules, (*model.modules, nn.Linear(1, 1))
    assert same.identity == before != other.identity


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"masks": torch.ones(1, HEIGHT, 2 * WIDTH)}, "aspect"),
        ({"masks": torch.ones(3, HEIGHT, WIDTH)}, "3 masks for 4 images"),
        ({"masks": torch.full((1, HEIGHT, WIDTH), torch.nan)}, "NaN"),
        ({"images": torch.full((4, HEIGHT, WIDTH, 3), torch.nan)}, "image 0 of the batch holds NaN"),
        ({"images": torch.rand(0, HEIGHT, WIDTH, 3)}, "empty"),
        ({"images": torch.rand(HEIGHT, WIDTH, 3)}, "expected images of shape"),
    ],
)
def test_bad_input(changes, words):
    with pytest.raises(BadInput, match=words):
        Noise().inpaint(request()._replace(**changes))
