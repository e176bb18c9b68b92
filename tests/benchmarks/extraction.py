"""Features of Inception-v3: the streamed path against the bare network, and TensorFlow 1's resize against its port."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from trilemma.models.files import catalog
from trilemma.models.scoring.extractors.base import Extractor
from trilemma.models.scoring.extractors.inception import LAYOUT, scale
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.extractors.resizes import tensorflow
from trilemma.models.scoring.features.extraction import Named, accumulate, fitting_batch, stream
from trilemma.models.scoring.features.folder import Folder
from trilemma.tests import reference_kit
from trilemma.tests.benchmarks.memory import STARTER
from trilemma.tests.benchmarks.timing import Comparison, compare

SIDE = 299
BATCH = 8
COUNT = 16
FOLDER = 20_000
"""Pictures of a folder, of FOLDER_SIDE pixels, of which each hundredth is another one."""
FOLDER_SIDE = 256
FOLDER_AT_LEAST = 0.9
"""Of the slower of decoding alone and the network alone."""
STREAM_AT_LEAST = 1 / 1.05
"""The data path may cost 5 % of the network."""
RESIZE_AT_LEAST = 1.3


def gather_four(images: torch.Tensor, side: int) -> torch.Tensor:
    """torch-fidelity's port of TensorFlow 1's bilinear resize: gather all four neighbours of every pixel of the result,
    interpolate columns of the upper and the lower ones, then rows."""
    x = images.movedim(-1, 1).float()
    height, width = x.shape[2:]
    columns = torch.arange(0, side, 1, dtype=x.dtype) * torch.tensor(width / side, dtype=torch.float32)
    left = columns.long()
    right = (left + 1).clamp_max(width - 1)
    x_share = (columns - left.float()).view(1, 1, 1, side)
    rows = torch.arange(0, side, 1, dtype=x.dtype) * torch.tensor(height / side, dtype=torch.float32)
    top = rows.long()
    bottom = (top + 1).clamp_max(height - 1)
    y_share = (rows - top.float()).view(1, 1, side, 1)
    top_left, top_right = x[:, :, top, :][:, :, :, left], x[:, :, top, :][:, :, :, right]
    bottom_left, bottom_right = x[:, :, bottom, :][:, :, :, left], x[:, :, bottom, :][:, :, :, right]
    upper = top_left + (top_right - top_left) * x_share
    lower = bottom_left + (bottom_right - bottom_left) * x_share
    return upper + (lower - upper) * y_share


def compare_resize(height: int, width: int, repeats: int = 9) -> Comparison:
    """Of a batch of images: identical to the bit."""
    images = torch.randint(256, (BATCH, height, width, 3), generator=torch.Generator().manual_seed(0)).byte()
    assert torch.equal(tensorflow(images, SIDE), gather_four(images, SIDE))
    return compare(lambda: gather_four(images, SIDE), lambda: tensorflow(images, SIDE), repeats)


def synthetic_inception() -> Extractor:
    """Inception-v3 with the reference kit's weights, read from a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inception.pth"
        torch.save(reference_kit.weights(reference_kit.case("inception_fid")), file)
        return EXTRACTORS.load(file)


def compare_stream(extractor: Extractor, count: int = COUNT, repeats: int = 9) -> Comparison:
    """The network alone, on batches that are its input already, against images one by one through `stream`."""
    pixels = torch.randint(256, (count, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(0)).byte()
    images = [Named(f"image {index}", index, image) for index, image in enumerate(pixels)]
    (network,) = extractor.modules
    inputs = [
        scale(batch.movedim(-1, 1).to(torch.float32, memory_format=LAYOUT), "TF1") for batch in pixels.split(BATCH)
    ]

    def bare() -> torch.Tensor:
        return torch.cat([network(batch)["2048"] for batch in inputs])

    def streamed() -> torch.Tensor:
        return torch.cat([batch.answers.taps[0] for batch in stream(extractor, images, ("2048",), BATCH)])

    with torch.inference_mode():
        torch.testing.assert_close(streamed(), bare(), rtol=1e-6, atol=1e-6)
        return compare(bare, streamed, repeats)


def jpegs(folder: Path, count: int) -> None:
    """Smooth pictures with some detail, as photographs have it; equal ones are links to one file."""
    generator = torch.Generator().manual_seed(0)
    different = max(1, count // 100)
    for index in range(count):
        path = folder / f"{index:06}.jpg"
        if index >= different:
            os.link(folder / f"{index % different:06}.jpg", path)
            continue
        coarse, fine = (torch.rand(1, 3, side, side, generator=generator) for side in (8, 64))
        sides = (FOLDER_SIDE, FOLDER_SIDE)
        mixed = sum(
            share * torch.nn.functional.interpolate(noise, sides, mode="bicubic")
            for share, noise in ((200, coarse), (55, fine))
        )
        Image.fromarray(mixed[0].clamp(0, 255).byte().movedim(0, -1).numpy()).save(path, quality=90)


def compare_folder(count: int = FOLDER, repeats: int = 3) -> Comparison:
    """The slower of Pillow alone and the starter network alone against Folder Features, by the clock, all cores at
    work."""
    extractor = EXTRACTORS.load(catalog.starter_folder("extractor", STARTER))
    with tempfile.TemporaryDirectory() as place, torch.inference_mode():
        root = Path(place)
        jpegs(root, count)
        files = sorted(root.iterdir())
        size = fitting_batch(extractor, count)
        pixels = torch.stack([torch.from_numpy(np.array(Image.open(file).convert("RGB"))) for file in files[:size]])
        prepared = extractor.prepare(pixels)

        def decode() -> None:
            for file in files:
                with Image.open(file) as picture:
                    picture.convert("RGB")

        def network() -> None:
            for start in range(0, count, size):
                extractor.extract(prepared[: min(size, count - start)], (extractor.main,))

        def folder() -> None:
            taken = Folder(root).take(lambda images: accumulate(extractor, images, (extractor.main,), "folder", size))
            assert taken.features.count == count

        threads = torch.get_num_threads()
        torch.set_num_threads(os.cpu_count() or 1)
        turns = [tuple(_clock(call) for call in (decode, network, folder)) for _ in range(repeats)]
        torch.set_num_threads(threads)
    decoded, answered, taken = (min(times) for times in zip(*turns, strict=True))
    return Comparison(max(decoded, answered), taken)


def _clock(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    return [
        *(
            (
                f"TF1 resize to {SIDE}, {BATCH} images of {width} x {height}",
                compare_resize(height, width),
                RESIZE_AT_LEAST,
            )
            for height, width in ((32, 32), (256, 256), (512, 512), (1024, 1024))
        ),
        (f"Inception features, {COUNT} images of {SIDE} px", compare_stream(synthetic_inception()), STREAM_AT_LEAST),
        (f"Folder Features, {FOLDER:,} JPEGs of {FOLDER_SIDE} px, {STARTER}", compare_folder(), FOLDER_AT_LEAST),
    ]
