"""The models that run on the accelerator: every starter, and one published layout of each kind.

Published ones have the weights of the reference kit, or random ones of a usual initialisation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from trilemma.models.detection.base import Detector
from trilemma.models.detection.loading import load_detector
from trilemma.models.files.catalog import STARTERS, Kind, starter_folder
from trilemma.models.generators.base import Generator
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.loading import load_generator
from trilemma.models.inpainting.base import Inpainter, InpaintRequest
from trilemma.models.inpainting.loading import load_inpainter
from trilemma.models.pictures.example_scenes import scene, scene_names
from trilemma.models.scoring.extractors.base import Extractor, eight_bit
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.segmentation.base import Segmenter
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.prompts import Point, Prompt
from trilemma.models.weights import DtypeFor
from trilemma.tests import reference_kit
from trilemma.tests.diffusion import published_layout

SINGLE, HALF = 2e-3, 3e-2
"""Allowed differences, as shares of the largest value. Convolutions on tensor cores keep 10 bits of a float32."""
STEPS = 4
STEADY = 8
"""Best queries of a picture that are compared: those below are near ties at 0."""
PROMPT = "a cat . a rocket"


class Case(NamedTuple):
    """A model with how it is run.

    write: the file or folder to load, made in an empty folder. load: of a path and a choice of dtype. run: `number`
    pictures on the device where the networks are; answers as one float32 tensor on the processor, for comparison.
    memory: the estimate for so many. numbers: of pictures, for memory. half: whether the model takes half precision.
    agreement: share of the pictures that must agree; below 1 where a code is drawn that two processors may draw
    differently, and all after it.
    """

    name: str
    write: Callable[[Path], Path]
    load: Callable[[Path, DtypeFor], Any]
    run: Callable[[Any, int], torch.Tensor]
    memory: Callable[[Any, int], int]
    numbers: tuple[int, int, int]
    half: bool = False
    agreement: float = 1.0


def scenes(number: int, side: int | None = None) -> torch.Tensor:
    """The pack's scenes in turn, float32 [number, side, side, 3], 0..1; None leaves their size."""
    pictures = torch.cat([scene(name) for name in scene_names()]).movedim(-1, 1)
    if side is not None:
        pictures = F.interpolate(pictures, (side, side), mode="bilinear", antialias=True)
    return pictures.movedim(1, -1)[torch.arange(number) % len(pictures)].contiguous()


def starter(kind: Kind, name: str) -> Callable[[Path], Path]:
    """A starter lies ready."""
    return lambda folder: starter_folder(kind, name)


def kit_file(system: str, case: str, name: str) -> Callable[[Path], Path]:
    """A published layout under the kit's weights."""

    def write(folder: Path) -> Path:
        torch.save(reference_kit.weights(reference_kit.case(system, case)), folder / name)
        return folder / name

    return write


def detections(detector: Detector, number: int, side: int | None = None) -> torch.Tensor:
    """Boxes and probabilities [number, Q, 4 + T] of the queries, in the order of their boxes, since nearly tied ones
    come in any order."""
    found = detector.detect(scenes(number, side), PROMPT, number)
    queries = torch.cat([found.boxes, found.token_probs], dim=-1)
    order = found.token_probs.amax(dim=-1).argsort(dim=1, descending=True)
    return queries.gather(1, order[..., None].expand_as(queries))[:, :STEADY]


def masks(segmenter: Segmenter, number: int, side: int | None = None) -> torch.Tensor:
    """Mask logits [number, 3, h, w] of one point in each picture."""
    pictures = scenes(number, side)
    height, width = pictures.shape[1:3]
    embedding = segmenter.encode(pictures, number)
    point = (Point(width / 2, height / 2, 1),)
    with torch.no_grad():
        answers = [segmenter.decode(embedding, i, [Prompt(i, None, point)], three=True) for i in range(number)]
    return torch.cat([logits for logits, _ in answers]).float().cpu()


def repainted(inpainter: Inpainter, number: int) -> torch.Tensor:
    """Pictures [number, H, W, 3], repainted in the middle."""
    pictures = scenes(number, inpainter.native_resolution)
    hole = torch.zeros(pictures.shape[:3])
    quarter = hole.shape[1] // 4
    hole[:, quarter:-quarter, quarter:-quarter] = 1
    request = InpaintRequest(pictures, hole, "a star", steps=STEPS)
    return inpainter.inpaint(request, number).cpu()


def drawn(generator: Generator, number: int) -> torch.Tensor:
    """The first samples [number, H, W, 3] of seed 0."""
    bound = Bound(generator)
    if "steps" in generator.descriptor.options:
        bound = bound._replace(options={"steps": STEPS, "sampler": "DDIM"})
    return torch.cat([batch.images for batch in sample(bound, number, 0, number)])


def features(extractor: Extractor, number: int) -> torch.Tensor:
    """Features [number, D] of the scenes."""
    with torch.no_grad():
        return extractor.extract(extractor.prepare(eight_bit(scenes(number))), (extractor.main,)).taps[0]


def of_detector(name: str, write: Callable[[Path], Path], side: int | None, numbers: tuple[int, int, int]) -> Case:
    def memory(detector: Detector, number: int) -> int:
        return detector.memory_bytes(number, *scenes(1, side).shape[1:3])

    return Case(name, write, lambda path, _: load_detector(path), partial(detections, side=side), memory, numbers)


def of_segmenter(name: str, write: Callable[[Path], Path], side: int | None, numbers: tuple[int, int, int]) -> Case:
    return Case(
        name,
        write,
        load_segmenter,
        partial(masks, side=side),
        lambda segmenter, number: segmenter.encode_bytes(number),
        numbers,
        half=True,
    )


def of_inpainter(name: str, write: Callable[[Path], Path], numbers: tuple[int, int, int]) -> Case:
    def memory(inpainter: Inpainter, number: int) -> int:
        return inpainter.memory_bytes(number, inpainter.native_resolution, inpainter.native_resolution)

    return Case(name, write, load_inpainter, repainted, memory, numbers, half=True)


def of_generator(name: str, write: Callable[[Path], Path], numbers: tuple[int, int, int], **more: Any) -> Case:
    return Case(
        name, write, load_generator, drawn, lambda generator, number: generator.memory_bytes(number), numbers, **more
    )


def of_extractor(name: str, write: Callable[[Path], Path], numbers: tuple[int, int, int]) -> Case:
    def load(path: Path, _: DtypeFor) -> Extractor:
        return EXTRACTORS.load(path).with_resize("pytorch-fid")

    return Case(name, write, load, features, lambda extractor, number: extractor.memory_bytes(number), numbers)


def random_stable_diffusion(folder: Path) -> Path:
    """A single file of Stable Diffusion 1.5 inpainting, at full size, under random weights."""
    published_layout.write_random_half(folder / "sd.safetensors", published_layout.weights())
    return folder / "sd.safetensors"


MANY = (16, 64, 256)

STARTER_CASES = (
    of_detector("starter emoji detector", starter("detector", "starter emoji detector"), None, (2, 4, 8)),
    of_segmenter("starter emoji segmenter", starter("segmenter", "starter emoji segmenter"), None, (2, 4, 8)),
    of_inpainter("starter emoji inpainter", starter("inpainter", "starter emoji inpainter"), (4, 16, 64)),
    *(
        of_generator(
            name,
            starter("generator", name),
            MANY,
            half=folder == "emoji_inpainter",
            agreement=0.9 if "vqvae" in name else 1.0,
        )
        for name, folder in STARTERS["generator"].items()
    ),
    of_extractor("starter emoji classifier", starter("extractor", "starter emoji classifier"), MANY),
)

PUBLISHED_CASES = (
    of_detector("Grounding DINO, Swin-T", kit_file("groundingdino", "golden", "swint.pth"), 480, (1, 2, 4)),
    of_segmenter("SAM, ViT-B", kit_file("sam", "golden", "vit_b.pth"), 480, (1, 2, 4)),
    of_segmenter("HQ-SAM, ViT-B", kit_file("hq_sam", "golden_vit_b", "hq_vit_b.pth"), 480, (1, 2, 4)),
    of_segmenter("MobileSAM", kit_file("mobile_sam", "golden", "mobile_sam.pt"), 480, (1, 2, 4)),
    of_segmenter("SAM 2.1, tiny", kit_file("sam2", "golden_2.1_tiny", "sam2.1_tiny.pt"), 480, (1, 2, 4)),
    of_inpainter("Stable Diffusion 1.5 inpainting", random_stable_diffusion, (1, 2, 4)),
    of_generator("StyleGAN2-ADA", kit_file("stylegan2_ada", "golden_uncond", "stylegan2.pth"), MANY),
    of_extractor("Inception-v3", kit_file("inception_fid", "golden", "inception.pth"), (8, 32, 64)),
)

CASES = (*STARTER_CASES, *PUBLISHED_CASES)
