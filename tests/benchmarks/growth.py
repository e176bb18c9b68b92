"""How the cost of nodes grows with the number of images, and with the side of one.

A cost that grows as a power of the size is a straight line where both axes are logarithms, and the power is its slope.
It is fitted to the largest sizes, where what every call costs has little part. Work on each image alone should grow as
as the number (1), work on each pixel as the square of the side (2). A network that sees all pictures at one size should
not grow with the side at all, so that reading the pixels is what remains.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from trilemma.models.pictures import example_scenes
from trilemma.models.pictures.resizing import resize
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.benchmarks.timing import seconds

COUNTS: Final = (1, 10, 100, 1000)
SIDES: Final = (256, 512, 1024, 2048, 4096)
FITTED: Final = 3
"""Sizes, the largest, through which the line goes."""
SPARE: Final = 0.15
"""By which a slope may exceed what it should be: caches of the processor hold small pictures and no large ones."""
ENOUGH: Final = 2.0
"""Seconds of one call, beyond which it is not repeated."""
REPEATS: Final = 3
PLOT: Final = Path(__file__).with_suffix(".png")

Prepare = Callable[[int, int], Callable[[], Any]]
"""From a number of pictures and their side to the work on them."""


@dataclass(frozen=True)
class Growth:
    """Seconds of the processor at each size, and the power of the size by which they should grow."""

    sizes: Sequence[int]
    seconds: Sequence[float]
    power: float

    @property
    def ratio(self) -> float:
        """The fitted power: the slope of least squares between logarithms."""
        points = [(math.log(size), math.log(each)) for size, each in zip(self.sizes, self.seconds, strict=True)][
            -FITTED:
        ]
        mean_x, mean_y = (sum(values) / FITTED for values in zip(*points, strict=True))
        covariance = sum((x - mean_x) * (y - mean_y) for x, y in points)
        return covariance / sum((x - mean_x) ** 2 for x, _ in points)


def call(node: str, **given: Any) -> Any:
    """What a node puts out."""
    found = NODE_CLASS_MAPPINGS[f"Trilemma{node}"]().run(**given)
    return found["result"] if isinstance(found, dict) else found


def scenes(count: int, side: int) -> torch.Tensor:
    """The garden, with a little noise so that nothing that was kept stands for it: [count, side, side, 3] in 0..1."""
    garden = resize(example_scenes.scene("garden")[0], side, side)
    return (garden + torch.rand(count, side, side, 3) / 50).clamp(0, 1)


def discs(count: int, side: int) -> torch.Tensor:
    """A third of the side wide, of another place in each picture: [count, side, side], 0 or 1."""
    places = (torch.arange(side) + 0.5) / side
    middles = torch.linspace(0.3, 0.7, count)[:, None, None]
    return ((places[:, None] - middles) ** 2 + (places - 0.5) ** 2 < 1 / 36).float()


def sampling(count: int, _: int) -> Callable[[], Any]:
    (generator, *_rest) = call("LoadGenerator", model="starter emoji stylegan2")
    return lambda: call("SampleImages", generator=generator, num_images=count, seed=0, batch_size=50)


def detecting(count: int, side: int) -> Callable[[], Any]:
    (detector, *_rest), given = call("LoadDetector", model="starter emoji detector"), scenes(count, side)
    return lambda: call("DetectByText", detector=detector, image=given, prompt="a dog . a cat")


def segmenting(count: int, side: int) -> Callable[[], Any]:
    (segmenter, *_rest), given = call("LoadSegmenter", model="starter emoji segmenter"), scenes(count, side)

    def work() -> Any:
        (embedding,) = call("EncodeImage", segmenter=segmenter, image=given)
        middle = json.dumps([[{"x": side / 2, "y": side / 2}]] * count)
        return call("Segment", segmenter=segmenter, embedding=embedding, positive_points=middle)

    return work


def features(count: int, side: int) -> Callable[[], Any]:
    (extractor, *_rest) = call("LoadFeatureExtractor", model="starter emoji classifier", resize="TF1")
    given = scenes(count, side)
    return lambda: call("ImageFeatures", images=given, extractor=extractor)


def masks(count: int, side: int) -> Callable[[], Any]:
    given = discs(count, side)
    return lambda: call("GrowSoftenMasks", mask=given, grow=8, soften=4.0, fill_holes=True)


def cropping(count: int, side: int) -> Callable[[], Any]:
    given, mask = scenes(count, side), discs(count, side)

    def work() -> Any:
        images, _mask, crops, *_rest = call("CropObjects", image=given, mask=mask, resolution=side)
        return call("StitchObjects", crops=crops, image=1 - images)

    return work


def restoring(count: int, side: int) -> Callable[[], Any]:
    original = scenes(count, side)
    edited = torch.where(discs(count, side)[..., None] > 0, 1 - original, original)
    return lambda: call("RestoreUnedited", original=original, edited=edited)


def comparing(count: int, side: int) -> Callable[[], Any]:
    one, other = scenes(count, side), scenes(count, side)
    return lambda: call("CompareImages", reference=one, image=other, lpips="none", gain=1.0)


PREPARED: Final[dict[str, Prepare]] = {
    "Sample Images, starter emoji stylegan2": sampling,
    "Detect by Text, starter emoji detector": detecting,
    "Encode Image and Segment, starter emoji segmenter": segmenting,
    "Image Features, starter emoji classifier": features,
    "Grow / Soften Masks, holes filled": masks,
    "Crop Objects and Stitch Objects": cropping,
    "Restore Unedited": restoring,
    "Compare Images": comparing,
}
SIDE: Final = 64
"""Of the pictures whose number grows."""


def taken(prepare: Prepare, count: int, side: int) -> float:
    """Seconds of the processor: the least of some turns, each with pictures of its own."""
    first = seconds(prepare(count, side))
    return first if first > ENOUGH else min([first, *(seconds(prepare(count, side)) for _ in range(REPEATS))])


def by_count(prepare: Prepare, counts: Sequence[int] = COUNTS) -> Growth:
    """As the number of pictures grows."""
    return Growth(counts, [taken(prepare, count, SIDE) for count in counts], 1)


def by_side(prepare: Prepare, sides: Sequence[int] = SIDES) -> Growth:
    """As the side of one picture grows."""
    return Growth(sides, [taken(prepare, 1, side) for side in sides], 2)


def rows() -> tuple[list[tuple[str, Growth, float]], list[tuple[str, Growth, float]]]:
    """What is measured, its growth, and the greatest power that is promised: with the number, and with the side."""
    torch.manual_seed(0)
    with torch.inference_mode():
        numbers = [(what, by_count(prepare), 1 + SPARE) for what, prepare in PREPARED.items()]
        sizes = [(what, by_side(prepare), 2 + SPARE) for what, prepare in PREPARED.items() if prepare is not sampling]
    return numbers, sizes


Rows = Sequence[tuple[str, Growth, float]]


def plot(numbers: Rows, sizes: Rows, path: Path = PLOT) -> None:
    """Both growths with logarithmic axes, with dotted lines of the powers that they should have."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheet = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(sheet)
    for axes, rows, along in zip(sheet.subplots(1, 2), (numbers, sizes), ("images", "pixels a side"), strict=True):
        for (what, growth, _), marker in zip(rows, "osD^vP*X", strict=False):
            axes.loglog(growth.sizes, growth.seconds, marker=marker, label=f"{what}: {growth.ratio:.2f}")
        growth = rows[0][1]
        start = min(each.seconds[0] for _, each, _ in rows)
        line = [start * (size / growth.sizes[0]) ** growth.power for size in growth.sizes]
        axes.loglog(growth.sizes, line, color="grey", linestyle=":", label=f"power {growth.power:g}")
        axes.set(xlabel=along, ylabel="seconds of one thread", xticks=growth.sizes, xticklabels=growth.sizes)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    sheet.savefig(path, dpi=100, metadata={"Software": None})
