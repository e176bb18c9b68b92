"""The seam score orders pastes by how visible their edge is."""

import math

import pytest
import torch
import torch.nn.functional as F
from trilemma.models.pictures.regions import Hole, crop, stitch
from trilemma.models.pictures.seam import seam_score

pytestmark = pytest.mark.slow

SCENES = 200
SIZE = 64


def drawn(rng: torch.Generator) -> torch.Tensor:
    """A picture [64, 64, 3]: gradient, stripes, noise or clouds, in two random colours."""
    dark, light = torch.rand(2, 3, generator=rng).mul(0.8).add(0.1)
    y, x = torch.meshgrid(torch.linspace(0, 1, SIZE), torch.linspace(0, 1, SIZE), indexing="ij")
    angle, period = (torch.rand(2, generator=rng) * torch.tensor([math.pi, 12])).tolist()
    across = x * math.cos(angle) + y * math.sin(angle)
    kind = int(torch.randint(4, (1,), generator=rng))
    if kind == 0:
        share = (across - across.min()) / (across.max() - across.min())
    elif kind == 1:
        share = (torch.sin(across * (10 + 5 * period)) > 0).float()
    elif kind == 2:
        share = torch.rand(SIZE, SIZE, generator=rng)
    else:
        coarse = torch.rand(1, 1, 9, 9, generator=rng)
        share = F.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic", align_corners=True)[0, 0].clamp(0, 1)
    picture = dark + share[..., None] * (light - dark) + 0.02 * torch.randn(SIZE, SIZE, 3, generator=rng)
    return picture.clamp(0, 1)


def shaped(rng: torch.Generator) -> torch.Tensor:
    """A mask [64, 64] of a disc or a box with a margin around it."""
    radius = float(torch.rand(1, generator=rng) * 10 + 8)
    centre = torch.rand(2, generator=rng) * 20 + 22
    y, x = torch.meshgrid(torch.arange(SIZE).float(), torch.arange(SIZE).float(), indexing="ij")
    away = torch.stack([(y - centre[0]).abs(), (x - centre[1]).abs()])
    distance = away.square().sum(dim=0).sqrt() if torch.rand(1, generator=rng) < 0.5 else away.amax(dim=0)
    return (distance < radius).float()


def scene(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A picture with an object in the mask, another picture to paste, and the mask."""
    rng = torch.Generator().manual_seed(seed)
    mask = shaped(rng)
    picture = torch.where(mask[..., None] > 0, drawn(rng), drawn(rng))
    return picture, drawn(rng), mask


def pasted(picture: torch.Tensor, other: torch.Tensor, mask: torch.Tensor, soften: int) -> float:
    """Seam score of `other` pasted into the mask by way of a crop."""
    rows, columns = mask.any(dim=1).nonzero().flatten(), mask.any(dim=0).nonzero().flatten()
    top, left = int(rows[0]), int(columns[0])
    hole = Hole(0, left, top, mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1])
    crops = crop(picture[None], [hole], size=SIZE, context_factor=10, soften=soften).crops
    return stitch(crops, other[None]).seams[0]


@pytest.mark.parametrize("fade", [1, 4])
def test_orders_untouched_softened_and_hard_pastes(fade):
    ordered = 0
    for seed in range(SCENES):
        picture, other, mask = scene(seed)
        untouched, soft, hard = (
            pasted(picture, content, mask, soften) for content, soften in ((picture, 0), (other, fade), (other, 0))
        )
        assert untouched == 0
        ordered += untouched < soft < hard
    assert ordered >= 0.95 * SCENES, f"{ordered} of {SCENES} scenes in order"


@pytest.mark.parametrize("difference", [0.1, 0.5, 1.0])
def test_is_the_step_of_an_even_paste(difference):
    before, weight = torch.zeros(32, 32, 3), torch.zeros(32, 32)
    weight[8:24, 8:24] = 1
    after = before + difference * weight[..., None]
    assert seam_score(before, after, weight) == pytest.approx(difference, rel=1e-4)


def test_steps_of_texture_cancel():
    rng = torch.Generator().manual_seed(0)
    before, other = (0.5 + 0.1 * torch.randn(2, 64, 64, 3, generator=rng)).clamp(0, 1)
    weight = torch.zeros(64, 64)
    weight[16:48, 16:48] = 1
    after = torch.where(weight[..., None] > 0, other, before)
    step = after.diff(dim=0).square().mean().sqrt()
    assert seam_score(before, after, weight) < step / 3


def test_an_object_replaced_by_its_surroundings_leaves_no_seam():
    weight = torch.zeros(32, 32)
    weight[8:24, 8:24] = 1
    ground = torch.full((32, 32, 3), 0.5)
    before = torch.where(weight[..., None] > 0, torch.tensor([0.9, 0.1, 0.1]), ground)
    assert seam_score(before, ground, weight) == 0
    assert seam_score(ground, before, weight) > 0.2


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_without_an_edge_there_is_no_seam(share):
    before, after = torch.zeros(16, 16, 3), torch.full((16, 16, 3), share)
    assert seam_score(before, after, torch.full((16, 16), share)) == 0
