"""An original and an edit of it by any model, brought together so that only what was meant to change has changed."""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple

import torch
import torch.nn.functional as F

from ...errors import BadInput
from ...steps import OnStep, quiet
from ..dust import MASK_THRESHOLD, without_dust
from ..images import check_images, match_masks, rgb
from ..islands import Island, islands
from ..seam import seam_score
from .agreement import SAME as AGREES
from .agreement import band, correlation, luma, showing
from .changes import find_changes
from .colours import fit_colours, undo_colours
from .placement import SAME, Placement, covered, sample
from .poisson import membrane
from .registration import register

Blend = Literal["poisson", "plain"]
BLENDS: Final[tuple[Blend, ...]] = ("poisson", "plain")
BINDS: Final = 0.12
"""Difference at a region's border from which on it counts for less: drift of colours is smaller, an object that the
border cuts is larger, and would bleed in."""
ALL: Final = 0.9
"""Share of the picture from which on an edit is another picture."""
HOLDS: Final = 0.08
"""Share of what the original shows that the edit must show too: chance makes a few squares of any pictures alike."""
ENOUGH: Final = 0.05
"""Share of the picture that must be alike for colours to be compared there alone."""
PARTS: Final = 64
"""Parts of a region that are blended each by itself; more of them are blended together."""
REPEATED: Final = 16
"""Pixels by which the edit's border is repeated where a shift has pushed a part of what changed out of the picture."""
DIM: Final = 0.35
"""Brightness of what is as it was, in the picture of what changed."""


class Settings(NamedTuple):
    """align: find shift and scale. match_colours: undo the change of colours. blend: how what changed is laid in.
    sensitivity, min_area: of finding it, see `find_changes`. grow, soften: pixels by which what was found is extended,
    and over which it then fades out. mask_threshold: below it, values of a given mask are dust."""

    align: bool = True
    match_colours: bool = True
    blend: Blend = "poisson"
    sensitivity: float = 1.0
    min_area: int = 64
    grow: int = 6
    soften: int = 4
    mask_threshold: float = MASK_THRESHOLD


DEFAULTS: Final = Settings()


class Restored(NamedTuple):
    """images: float32 [N, H, W, C], the originals with the changes in them. masks: float32 [N, H, W], share of the edit
    in each pixel; where it is 0 an image is bit-identical to its original. changes: float32 [N, H, W, 3], what changed
    in full colour, the rest grey and dim. aligned: float32 [N, H, W, 3], the edits in their place and in the original's
    colours. seams: a score for each. findings: a line for each."""

    images: torch.Tensor
    masks: torch.Tensor
    changes: torch.Tensor
    aligned: torch.Tensor
    seams: tuple[float, ...]
    findings: tuple[str, ...]


class _One(NamedTuple):
    image: torch.Tensor
    mask: torch.Tensor
    aligned: torch.Tensor
    seam: float
    finding: str


def restore(
    original: torch.Tensor,
    edited: torch.Tensor,
    mask: torch.Tensor | None = None,
    settings: Settings = DEFAULTS,
    on_step: OnStep = quiet,
) -> Restored:
    """Lay what an editor changed, and nothing else of its picture, into the original.

    original: [B, H, W, 3 or 4]; its alpha stays as it is.
    edited: [B', h, w, 3 or 4], of any size; its alpha is ignored. A batch of one serves all of the other.
    mask: what may come from the edit, as `images.match_masks` takes it, drawn on the original or, where it has the
        edit's size or shape, on the edit. It is taken as it is, neither grown nor softened. Without it, what changed is
        found.

    The steps, each in its file: where the edit lies (`registration.py`), its colours (`colours.py`), what has changed
    beyond them (`changes.py`), and the membrane that closes what is left of a step at the border (`poisson.py`).

    Raises:
        BadInput: batches that do not fit, of images or of masks.
    """
    original, edited = check_images(original, "original"), rgb(edited, "edited").clamp(0, 1).to(original.device)
    count = max(len(original), len(edited))
    if {len(original), len(edited)} - {1, count}:
        raise BadInput(
            f"edited: {len(edited)} edited pictures for {len(original)} originals; give one for each, or one for all."
        )
    originals, edits = original.expand(count, -1, -1, -1), edited.expand(count, -1, -1, -1)
    masks = None if mask is None else _Masks.of(mask, originals, edits, settings.mask_threshold)
    done = []
    for frame in range(count):
        done.append(_restore(originals[frame], edits[frame].movedim(-1, 0), masks, frame, settings))
        on_step(frame + 1, done[-1].image[..., :3])
    images, weights = torch.stack([one.image for one in done]), torch.stack([one.mask for one in done])
    return Restored(
        images,
        weights,
        _shown(images[..., :3], weights),
        torch.stack([one.aligned for one in done]),
        tuple(one.seam for one in done),
        tuple(one.finding for one in done),
    )


class _Masks(NamedTuple):
    """Masks [N, H, W] of the originals, or [N, h, w] of the edits."""

    masks: torch.Tensor
    of_edit: bool

    @classmethod
    def of(cls, mask: torch.Tensor, originals: torch.Tensor, edits: torch.Tensor, threshold: float) -> _Masks:
        clean = without_dust(mask, threshold).to(originals.device)
        sizes = [(batch.shape[1], batch.shape[2]) for batch in (originals, edits)]
        size = (clean.shape[-2], clean.shape[-1])
        of_edit = size not in (sizes[0], (64, 64)) and (size == sizes[1] or not _alike(size, sizes[0]))
        height, width = sizes[int(of_edit)]
        return cls(match_masks(clean, len(originals), height, width), of_edit)

    def over(self, frame: int, height: int, width: int, place: Placement) -> torch.Tensor:
        """The mask [height, width] over its original."""
        if not self.of_edit:
            return self.masks[frame]
        inside = covered((self.masks.shape[1], self.masks.shape[2]), height, width, place).to(self.masks.device)
        return sample(self.masks[frame][None], height, width, place)[0].clamp(0, 1) * inside


def _alike(size: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether a picture of one size can be the other one resized."""
    return round(size[1] * other[0] / size[0]) == other[1] or round(size[0] * other[1] / size[1]) == other[0]


def _restore(original: torch.Tensor, edited: torch.Tensor, masks: _Masks | None, frame: int, how: Settings) -> _One:
    """One original [H, W, C] and one edit [3, h, w]."""
    picture = original[..., :3].movedim(-1, 0).clamp(0, 1)
    height, width = picture.shape[1:]
    size = (edited.shape[1], edited.shape[2])
    given = None if masks is None else masks.over(frame, height, width, SAME)
    place = register(picture, edited, None if given is None else given > 0) if how.align else SAME
    if masks is not None and masks.of_edit:
        given = masks.over(frame, height, width, place)
    inside = covered(size, height, width, place).to(picture.device)
    aligned = sample(edited, height, width, place).clamp(0, 1)
    comparable = inside if given is None else inside & (given == 0)
    bands = [band(luma(each)) for each in (picture, aligned)]
    shown, alike = showing(bands[0]) & comparable, (correlation(*bands) > AGREES) & comparable
    agreeing = float((shown & alike).sum() / shown.sum()) if bool(shown.any()) else 1.0
    told = [_told_place(place, size, height, width)] if how.align else []
    if how.match_colours and bool(comparable.any()):
        enough = float(alike.float().mean()) > ENOUGH
        change = fit_colours(picture, aligned, alike if enough else comparable)
        aligned = undo_colours(aligned, change).clamp(0, 1)
        told.append(f"colours off by {change.size:.4f} in the mean, undone")
    found = find_changes(picture, aligned, comparable, alike, how.sensitivity, how.min_area)
    if given is None:
        share = float(found.region.sum() / inside.sum().clamp(min=1))
        if share > ALL or agreeing < HOLDS:
            share = max(share, 1 - agreeing)
            return _another(original, edited, share)
        weight = _spread(_continued(found.region, inside), how.grow, how.soften) * _reached(inside)
    else:
        weight = given * _reached(inside)
    if not bool((weight > 0).any()):
        words = "the edit changes nothing: the original is given back" if given is None else "the mask is empty"
        return _One(original.clone(), weight, aligned.movedim(0, -1), 0.0, "; ".join([*told, words]))
    laid = aligned if how.blend == "plain" else _blended(picture, aligned, weight > 0, found.sure)
    result = original.clone()
    mixed = torch.lerp(picture, laid, weight).movedim(0, -1)
    result[..., :3] = torch.where(weight[..., None] > 0, mixed, original[..., :3])
    seam = seam_score(original[..., :3], result[..., :3], weight)
    plain = torch.lerp(picture, sample(edited, height, width), (weight > 0).float()).movedim(0, -1)
    before = seam_score(original[..., :3], plain, (weight > 0).float())
    told.append(_told_region(weight, given is not None))
    told.append(f"seam {seam:.4f}, that of a plain paste {before:.4f}")
    return _One(result, weight, aligned.movedim(0, -1), seam, "; ".join(told))


def _another(original: torch.Tensor, edited: torch.Tensor, share: float) -> _One:
    """Where nothing is left of the original, the edit is the result."""
    height, width = original.shape[:2]
    result = original.clone()
    result[..., :3] = sample(edited, height, width).clamp(0, 1).movedim(0, -1)
    finding = (
        f"the edit changes {100 * share:.0f} % of the picture, so that nothing holds it in place: it is given back "
        "as it is, at the original's size; connect a mask, or lower sensitivity"
    )
    return _One(result, torch.ones(height, width, device=original.device), result[..., :3].clone(), 0.0, finding)


def _reached(inside: torch.Tensor) -> torch.Tensor:
    """The original's pixels that lie in the edit, or so near to it that its border stands for them."""
    return _dilated(inside.float(), REPEATED) > 0


def _continued(region: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """The region [H, W] repeated outwards from the rectangle `inside`, as the edit's border is."""
    rows, columns = inside.any(dim=1).nonzero().flatten(), inside.any(dim=0).nonzero().flatten()
    if not len(rows):
        return region
    row, column = (torch.arange(side, device=region.device) for side in region.shape)
    return region[row.clamp(rows[0], rows[-1])][:, column.clamp(columns[0], columns[-1])] & _reached(inside)


def _spread(region: torch.Tensor, grow: int, soften: int) -> torch.Tensor:
    """The share of the edit: 1 up to `grow` pixels (chessboard distance) around the region, then falling to 0."""
    weight = _dilated(region.float(), grow)
    total = weight.clone()
    for _ in range(soften):
        weight = _dilated(weight, 1)
        total += weight
    return total / (soften + 1)


def _dilated(weight: torch.Tensor, pixels: int) -> torch.Tensor:
    side = 2 * pixels + 1
    rows = F.max_pool2d(weight[None], (side, 1), stride=1, padding=(pixels, 0))
    return F.max_pool2d(rows, (1, side), stride=1, padding=(0, pixels))[0]


def _blended(original: torch.Tensor, edited: torch.Tensor, region: torch.Tensor, sure: torch.Tensor) -> torch.Tensor:
    """The edit [3, H, W], moved inside of `region` so that it meets the original at its border."""
    height, width = region.shape
    difference = original - edited
    # Where the border cuts an object that is in one picture alone, their difference is no drift of colours.
    trust = 1 / (1 + (difference.square().mean(dim=0).sqrt() / BINDS) ** 4)
    trust = torch.where(sure, 0.0, trust)
    result = edited.clone()
    parts = islands(region)
    if len(parts) > PARTS:
        parts = [Island(slice(0, height), slice(0, width), region)]
    for rows, columns, pixels in parts:
        window = (
            slice(max(rows.start - 1, 0), min(rows.stop + 1, height)),
            slice(max(columns.start - 1, 0), min(columns.stop + 1, width)),
        )
        inside = torch.zeros_like(region[window])
        top, left = rows.start - window[0].start, columns.start - window[1].start
        inside[top : top + len(pixels), left : left + pixels.shape[1]] = pixels
        every = (slice(None), *window)
        result[every] += membrane(difference[every], inside, trust[window])
    return result.clamp(0, 1)


def _shown(images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    grey = (images * images.new_tensor([0.299, 0.587, 0.114])).sum(dim=-1, keepdim=True) * DIM
    return torch.lerp(grey.expand_as(images), images, weights[..., None])


def _told_place(place: Placement, size: tuple[int, int], height: int, width: int) -> str:
    resized = "" if size == (height, width) else f"brought from {size[1]} x {size[0]} to {width} x {height} pixels; "
    if place == SAME:
        return f"{resized}neither shifted nor scaled"
    return (
        f"{resized}shifted by {place.shift_x:+.2f}, {place.shift_y:+.2f} px and scaled by {place.scale_x:.4f}, "
        f"{place.scale_y:.4f}, undone"
    )


def _told_region(weight: torch.Tensor, given: bool) -> str:
    region = weight > 0
    rows, columns = region.any(dim=1).nonzero().flatten(), region.any(dim=0).nonzero().flatten()
    left, top = int(columns[0]), int(rows[0])
    wide, tall = int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top
    share = 100 * float(region.float().mean())
    digits = 1 if share >= 1 else max(1, -math.floor(math.log10(share)))
    return f"{share:.{digits}f} % {'under the mask' if given else 'changed'}, within {wide} x {tall} at {left}, {top}"
