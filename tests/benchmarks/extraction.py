"""Features of Inception-v3: the streamed path against the bare network, and TensorFlow 1's resize against its port."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from trilemma.models.scoring.extractors.base import Extractor
from trilemma.models.scoring.extractors.inception import LAYOUT, scale
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.extractors.resizes import tensorflow
from trilemma.models.scoring.features.extraction import Named, stream
from trilemma.tests import reference_kit
from trilemma.tests.benchmarks.timing import Comparison, compare

SIDE = 299
BATCH = 8
COUNT = 16
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
    ]
