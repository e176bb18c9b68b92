"""How a model of each kind is run once: what the common tests ask of every family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import torch
from trilemma.models.detection.base import Detector
from trilemma.models.detection.loading import DETECTORS
from trilemma.models.families import Registry
from trilemma.models.generators import binding, noise
from trilemma.models.generators.base import Condition, Generator
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.conditions import image_conditions, vector_conditions
from trilemma.models.generators.diffusion.classifiers import CLASSIFIERS
from trilemma.models.generators.diffusion.guides import Guide, gradient
from trilemma.models.generators.loading import GENERATORS
from trilemma.models.generators.vae.priors import STANDARD
from trilemma.models.inpainting.base import Inpainter, InpaintRequest
from trilemma.models.inpainting.loading import INPAINTERS
from trilemma.models.scoring.extractors.base import Answers, Extractor, eight_bit
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.features.extraction import Named, stream
from trilemma.models.segmentation.base import Segmenter
from trilemma.models.segmentation.decoding import segment
from trilemma.models.segmentation.loading import SEGMENTERS
from trilemma.models.segmentation.prompts import Point, Prompt
from trilemma.models.steps import OnStep, quiet

SEED = 2**64 - 2
"""Seeds of a run go round after the second sample."""
SIDE = 32
HEIGHT, WIDTH = 72, 96
TWO_SIDES = (40, 33)
SIDES = (16, SIDE, 64, 128, WIDTH, *TWO_SIDES)
"""Of all pictures that are looked at or repainted."""
THIN = 6
"""Height of pictures for detectors, which enlarge them: thin ones take them less time."""
PROMPT = "cat . dog"
CELLS = 16
"""Most latents along a side of what diffusion models draw here."""
DRAW_AND_REPAINT = frozenset(
    {
        *("Stable Diffusion 1.x", "Stable Diffusion 2.x", "Stable Diffusion XL"),
        *("StableDiffusionPipeline", "StableDiffusionInpaintPipeline"),
        *("StableDiffusionXLPipeline", "StableDiffusionXLInpaintPipeline"),
        "GLIDE",
    }
)
"""They draw, and repaint."""


class Run(NamedTuple):
    """One thing that a model does with inputs, a batch at a time.

    answers: float [count, ...], for `count` inputs in batches of `batch_size`; calls `on_step` up to `steps(count)`.
    memory: what the model foresees of one batch.
    """

    answers: Callable[[Any, int, int, OnStep], torch.Tensor]
    memory: Callable[[Any, int], int]
    steps: Callable[[Any, int], int]


class Kind(NamedTuple):
    """A kind of model, and how its families are run.

    more: further answers by name for `count` inputs in batches of `batch_size`; those that no network takes part in
    begin with "exact". batches: sizes that are compared. shared: families that another registry also claims, and reads
    alike.
    with_metadata: families that are told by metadata, which safetensors files alone have.
    """

    registry: Registry[Any]
    runs: tuple[Run, ...]
    more: Callable[[Any, int, int], dict[str, torch.Tensor]] = lambda model, count, batch_size: {}
    batches: tuple[int, ...] = (1, 3)
    shared: frozenset[str] = frozenset()
    with_metadata: frozenset[str] = frozenset()


def pictures(count: int, side: int) -> torch.Tensor:
    """Smooth random pictures, float32 [count, side, side, 3], 0..1, count up to 64."""
    return all_pictures(side)[:count]


@cache
def all_pictures(side: int) -> torch.Tensor:
    """Kept, so that they do not count where memory is measured; see `SIDES`."""
    coarse = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear").permute(0, 2, 3, 1).contiguous()


def bound(generator: Generator) -> Bound:
    """A generator that draws pictures of SIDE, if it takes several sizes, by at most CELLS of latents a side, if it is
    a diffusion model, from a standard normal prior, if it has none of its own, and in two steps, if it takes several,
    guided a little: guidance by g makes roundings 2 g - 1 times larger in each step.
    """
    described = generator.descriptor
    if described.size_multiple:
        shape = (described.latent_shape[0], *(SIDE // described.size_multiple,) * 2)
        generator.descriptor = replace(described, height=SIDE, width=SIDE, latent_shape=shape)
    elif described.family == "diffusion" and described.latent_shape[1] > CELLS:
        side = CELLS * described.height // described.latent_shape[1]
        shape = (described.latent_shape[0], CELLS, CELLS)
        generator.descriptor = replace(described, height=side, width=side, latent_shape=shape)
    wanted = {"steps": 2, "guidance_scale": 2.0, **({} if "sample" in described.abilities else {"prior": STANDARD})}
    made = Bound(generator, {name: value for name, value in wanted.items() if name in described.options})
    return made if {"none", "prompt"} & {*described.conditions} else made.with_conditions(given(generator))


def given(generator: Generator) -> list[Condition]:
    """What a generator draws from that draws from nothing else: four vectors or pictures, of labels where it takes
    those."""
    if "vector" in generator.descriptor.conditions:
        drawn = torch.randn(4, generator.descriptor.vector_size, generator=torch.Generator().manual_seed(0))
        return vector_conditions(drawn, ())
    return maps(getattr(generator, "labels", 0))


@cache
def maps(labels: int) -> list[Condition]:
    """Kept as `all_pictures` are. labels: 0 for pictures of all values."""
    images = pictures(4, 16)
    return image_conditions((images[..., :1] * (labels - 1)).round().expand_as(images) / 255 if labels else images, 1)


def draw(generator: Generator, count: int, batch_size: int, on_step: OnStep) -> torch.Tensor:
    parts = [batch.images for batch in binding.sample(bound(generator), count, SEED, batch_size, on_step)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@torch.no_grad()
def latents(generator: Generator, count: int, batch_size: int) -> dict[str, torch.Tensor]:
    """Those that samples start from, which are drawn, not computed, where they are "z"; and those of pictures."""
    made, described = bound(generator), generator.descriptor
    requests = noise.requests(count, SEED, made.conditions)
    starts = range(0, count, batch_size)
    parts = [generator.latents(requests[start : start + batch_size], made.settings) for start in starts]
    exact = "exact " if parts[0].space == "z" else ""
    answers = {f"{exact}latents": torch.cat([part.values for part in parts])}
    if "encode" in described.abilities:
        images = pictures(count, generator.descriptor.height).split(batch_size)
        answers["encoded"] = torch.cat([generator.encode(part).values for part in images])
    return answers


GENERATOR = Kind(
    GENERATORS,
    (
        Run(
            draw,
            lambda generator, size: generator.memory_bytes(size),
            lambda generator, count: binding.total_steps(bound(generator), count),
        ),
    ),
    latents,
    shared=DRAW_AND_REPAINT,
    with_metadata=frozenset({"DDPM", "MLP GAN", "denoising diffusion GAN", "guided diffusion"}),
)


def painted_side(inpainter: Inpainter) -> int:
    """Of pictures that leave its lowest level more than one cell, whose norm would blow up every rounding."""
    return min(inpainter.native_resolution, 128)


def repainting(inpainter: Inpainter, count: int) -> InpaintRequest:
    """Smooth pictures whose middles are to be repainted in two steps, guided a little."""
    side = painted_side(inpainter)
    masks = torch.zeros(count, side, side)
    masks[:, side // 4 : -side // 4, side // 4 : -side // 4] = 1
    return InpaintRequest(pictures(count, side), masks, "a cat", steps=2, guidance_scale=2.0, seed=SEED)


def repaint(inpainter: Inpainter, count: int, batch_size: int, on_step: OnStep) -> torch.Tensor:
    """The pictures; what is outside of the holes is as it was given."""
    request = repainting(inpainter, count)
    found = inpainter.inpaint(request, batch_size, on_step)
    outside = request.masks == 0
    assert torch.equal(found[outside], request.images[outside])
    return found


INPAINTER = Kind(
    INPAINTERS,
    (
        Run(
            repaint,
            lambda inpainter, size: inpainter.memory_bytes(size, painted_side(inpainter), painted_side(inpainter)),
            lambda inpainter, count: count * inpainter.steps(repainting(inpainter, count)),
        ),
    ),
    shared=DRAW_AND_REPAINT,
)


def named(count: int) -> list[Named]:
    """Pictures of two sizes, none of them a network's own."""
    both = [eight_bit(pictures(count, side)) for side in TWO_SIDES]
    return [Named(f"picture {place}", place, both[place % 2][place]) for place in range(count)]


def described(extractor: Extractor, count: int, batch_size: int, on_step: OnStep, taps: Sequence[str]) -> list[Answers]:
    return [batch.answers for batch in stream(extractor, named(count), taps, batch_size, on_step)]


def main_tap(extractor: Extractor, count: int, batch_size: int, on_step: OnStep) -> torch.Tensor:
    parts = [answers.taps[0] for answers in described(extractor, count, batch_size, on_step, (extractor.main,))]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def other_taps(extractor: Extractor, count: int, batch_size: int) -> dict[str, torch.Tensor]:
    names = tuple(name for name in extractor.taps if name != extractor.main)
    answers = described(extractor, count, batch_size, quiet, names)
    found = {name: torch.cat([answer.taps[place] for answer in answers]) for place, name in enumerate(names)}
    classes = [answer.log_probabilities for answer in answers if answer.log_probabilities is not None]
    return {**found, "classes": torch.cat(classes)} if classes else found


EXTRACTOR = Kind(
    EXTRACTORS,
    (Run(main_tap, lambda extractor, size: extractor.memory_bytes(size), lambda extractor, count: count),),
    other_taps,
    with_metadata=frozenset({"classifier of the pack"}),
)


def classify(guide: Guide, count: int, batch_size: int, on_step: OnStep) -> torch.Tensor:
    """Log probabilities, and what they rise by."""
    given = pictures(count, guide.side or SIDE).movedim(-1, 1) * 2 - 1
    found, time, labels = [], torch.tensor([300.0]), torch.arange(count) % guide.num_classes
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        risen = gradient(guide, given[part], time, labels[part])
        # A derivative is of the size of its largest.
        found.append(torch.cat([guide.log_probabilities(given[part], time), risen.flatten(1)], dim=1))
        on_step(min(start + batch_size, count))
    return torch.cat(found)


CLASSIFIER = Kind(
    CLASSIFIERS,
    (Run(classify, lambda guide, size: guide.memory_bytes(size), lambda guide, count: count),),
)


def embed(segmenter: Segmenter, count: int, batch_size: int, on_step: OnStep) -> torch.Tensor:
    """All maps."""
    features = segmenter.encode(pictures(count, WIDTH)[:, :HEIGHT], batch_size, on_step).features
    return torch.cat([maps.flatten(1) for maps in features], dim=1)


def masks(segmenter: Segmenter, count: int, batch_size: int) -> dict[str, torch.Tensor]:
    """Answers to points of one picture, `batch_size` at a time: three masks, and one."""
    embedding = segmenter.encode(pictures(1, WIDTH)[:, :HEIGHT])
    prompts = [Prompt(0, None, (Point(3.0 * index, 4.0 * index, 1),)) for index in range(count)]
    parts = [prompts[start : start + batch_size] for start in range(0, count, batch_size)]
    answers = {}
    for three in (True, False):
        logits, ious = zip(*(segmenter.decode(embedding, 0, part, three) for part in parts), strict=True)
        answers |= {f"logits, {three}": torch.cat(logits), f"IoU, {three}": torch.cat(ious)}
    return answers


def predicted_ious(segmenter: Segmenter, count: int, batch_size: int, on_step: OnStep) -> torch.Tensor:
    """Of the objects at so many points of one image."""
    seen = segmenter.encode(pictures(1, WIDTH)[:, :HEIGHT])
    prompts = [Prompt(0, None, (Point(8 + 7 * index, 60 - 5 * index, 1),)) for index in range(count)]
    found = segment(segmenter, seen, prompts, "best", on_step, batch_size)
    return torch.tensor([[each.score] for each in found.objects])


SEGMENTER = Kind(
    SEGMENTERS,
    (
        Run(embed, lambda segmenter, size: segmenter.encode_bytes(size), lambda segmenter, count: count),
        Run(
            predicted_ious,
            lambda segmenter, size: max(segmenter.encode_bytes(1), segmenter.decode_bytes(size, HEIGHT, WIDTH)),
            lambda segmenter, count: count,
        ),
    ),
    masks,
)


def detections(detector: Detector, count: int, batch_size: int, on_step: OnStep) -> torch.Tensor:
    """Boxes and probabilities of tokens."""
    found = detector.detect(pictures(count, WIDTH)[:, :THIN], PROMPT, batch_size, on_step)
    return torch.cat([found.boxes, found.token_probs], dim=2)


DETECTOR = Kind(
    DETECTORS,
    (
        Run(
            detections,
            lambda detector, size: detector.memory_bytes(size, THIN, WIDTH),
            lambda detector, count: count,
        ),
    ),
)

KINDS = (DETECTOR, SEGMENTER, INPAINTER, GENERATOR, EXTRACTOR, CLASSIFIER)
