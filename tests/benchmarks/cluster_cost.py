"""What 50,000 samples cost beyond one machine, on paper, from parts that are measured here.

`python -m tests.benchmarks.cluster_cost` prints the tables of BENCHMARKS.md, "Beyond one machine". Times are processor
seconds of one thread; the model below says how they add up, and what is assumed is a constant with its name.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import torch
from trilemma.models.files import catalog
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.conditions import EVERY_CLASS, read_conditions
from trilemma.models.generators.loading import load_generator
from trilemma.models.scoring.benchmark.gathering import joined
from trilemma.models.scoring.benchmark.shards import shards_of
from trilemma.models.scoring.extractors.base import Answers, Source
from trilemma.models.scoring.extractors.inception import InceptionExtractor
from trilemma.models.scoring.extractors.inception_network import Inception
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.features.extraction import answer
from trilemma.models.scoring.features.feature_files import Stored, load_stored, save
from trilemma.models.scoring.features.feature_set import Accumulator
from trilemma.models.scoring.features.keys import hash_keys
from trilemma.tests.benchmarks.timing import seconds

SAMPLES: Final = 50_000
BATCH: Final = 64
WORKERS: Final = (1, 8, 64, 1000)
SHARD: Final = 512
"""Samples of the shard that is measured."""

NETWORK: Final = 125e6
"""Assumed: bytes a second into the machine that gathers, 1 Gbit/s."""
START: Final = 15.0
"""Assumed: seconds until a worker has PyTorch and the models; all start at once."""
GPU: Final = 50.0
"""Assumed: a GPU draws and looks as fast as so many of the cores that were measured. No GPU was."""
PER_MACHINE: Final = 8
"""Assumed: workers of one machine; the reference goes to each machine once, and on from there."""
CORE_HOUR, GPU_HOUR = 0.05, 2.50
"""Assumed: dollars."""

STARTERS: Final = (
    ("VAE", "starter emoji vae", 256),
    ("GAN: StyleGAN2", "starter emoji stylegan2", 256),
    ("GAN by text: SSA-GAN", "starter emoji ssa gan", 128),
    ("autoregressive: transformer", "starter emoji vqvae transformer", 64),
    ("autoregressive: PixelCNN", "starter emoji vqvae pixelcnn", 64),
    ("autoregressive: PixelRNN", "starter emoji vqvae rowlstm", 64),
    ("diffusion: DDPM", "starter emoji ddpm", 32),
    ("diffusion: latent", "starter emoji latent diffusion", 32),
)
"""Family, starter, samples that are timed."""


class Extraction(NamedTuple):
    """seconds: for a picture. merge, write: for a shard. bytes: of a shard of SHARD samples, and of each sample more.
    reference: bytes."""

    name: str
    seconds: float
    merge: float
    write: float
    fixed: int
    each: float
    reference: int


def quickest(call: Callable[[], object], repeats: int = 3) -> float:
    """Processor seconds of the turn that was disturbed least; a first one is not counted."""
    call()
    return min(seconds(call) for _ in range(repeats))


def seconds_per_sample(starter: str, count: int) -> float:
    """To draw one sample, in batches of at most BATCH."""
    bound = Bound(load_generator(catalog.starter_folder("generator", starter)))
    if "prompt" in bound.generator.descriptor.conditions:
        bound = bound.with_conditions(read_conditions(bound.generator.descriptor, "a red apple on a blue ground"))
    elif bound.generator.descriptor.num_classes:
        bound = bound.with_conditions(read_conditions(bound.generator.descriptor, EVERY_CLASS))

    def draw() -> None:
        for _ in sample(bound, count, 0, min(BATCH, count)):
            pass

    return quickest(draw, 2) / count


def part(size: int, classes: int, first: int, count: int, kept_rows: int = 5000) -> Stored:
    """A shard of noise."""
    accumulator = Accumulator(Source("noise", "0", "none"), {"deep": size}, classes, kept_rows)
    generator = torch.Generator().manual_seed(first)
    values = torch.randn(count, size, generator=generator)
    chances = torch.randn(count, classes, generator=generator).log_softmax(dim=1)
    places = torch.arange(first, first + count)
    keys = hash_keys(f"{place}" for place in places.tolist())
    accumulator.add(keys, places, Answers((values,), chances), drawn=True)
    found = [[float(place), place] for place in range(first, first + 64)]
    notes = {"timings": {"first": 1.0, "others": []}, "candidates": {"nearest": found, "farthest": found}}
    return Stored(accumulator.features("noise"), {**notes, "peak": 0, "device": "cpu"})


def extraction(name: str, per_image: float, size: int, classes: int) -> Extraction:
    """Of so many features and classes: what a shard weighs, and what it takes to join and to keep it."""
    # The whole has its rows filled, as almost always.
    whole, one, other = part(size, classes, 0, 5000), part(size, classes, 5000, SHARD), part(size, classes, 9000, 64)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.npz") for number in range(2)]
        write = quickest(lambda: save(paths[0], *one))
        save(paths[1], *other)
        sizes = [path.stat().st_size for path in paths]
        read = quickest(lambda: load_stored(paths[0]))
        save(paths[1], *whole)
        reference = paths[1].stat().st_size
    each = (sizes[0] - sizes[1]) / (SHARD - 64)
    merge = quickest(lambda: joined(whole, one)) + read
    return Extraction(name, per_image, merge, write, round(sizes[0] - SHARD * each), each, reference)


def extractions() -> list[Extraction]:
    """The starter's classifier, and Inception with weights of noise, which take as long."""
    starter = EXTRACTORS.load(catalog.starter_folder("extractor", "starter emoji classifier")).with_resize("TF1")
    inception = InceptionExtractor(Inception().eval().requires_grad_(False)).with_resize("TF1")
    found = []
    for name, extractor, count in (("starter classifier", starter, 64), ("Inception-v3", inception, 8)):
        images = torch.randint(256, (count, 32, 32, 3), dtype=torch.uint8)
        taps = [extractor.main]

        def look(extractor=extractor, images=images, taps=taps, count=count) -> None:
            answer(extractor, extractor.prepare(images), taps, count)

        size = extractor.taps[extractor.main]
        found.append(extraction(f"{name}, {size:,} features", quickest(look) / count, size, extractor.classes))
    return found


class Estimate(NamedTuple):
    """seconds: from the call to the state of the whole. limit: what takes longest. busy: workers that have work."""

    seconds: float
    limit: str
    busy: int


def estimate(per_sample: float, taken: Extraction, workers: int, faster: float = 1.0) -> Estimate:
    """The model: workers draw their shards one after the other, as many rounds as there are shards for each; meanwhile
    one machine fetches, keeps and joins shard after shard, so that the slower of both decides. Before that all start
    and the reference reaches every machine, from those that have it to as many others at a time; the last shard is
    fetched and joined when it is drawn."""
    shards = shards_of(0, SAMPLES, BATCH, workers)
    count = shards[0].count
    bytes_each = taken.fixed + count * taken.each
    drawing = math.ceil(len(shards) / workers) * count * (per_sample + taken.seconds) / faster
    fetch, gather = bytes_each / NETWORK, taken.write + taken.merge
    gathering = len(shards) * (fetch + gather)
    copies = math.ceil(math.log2(1 + math.ceil(workers / PER_MACHINE)))
    begin = START + copies * taken.reference / NETWORK
    limits = {"drawing": drawing, "network": len(shards) * fetch, "merge": len(shards) * gather, "start": begin}
    total = begin + max(drawing, gathering) + fetch + gather
    return Estimate(total, max(limits, key=lambda name: limits[name]), min(workers, len(shards)))


def told(found: float) -> str:
    """A time to read."""
    if found < 100:
        return f"{found:.0f} s"
    return f"{found / 60:.0f} min" if found < 6000 else f"{found / 3600:.1f} h"


def table(head: str, lines: list[str]) -> None:
    print("", f"| {head} |", "|---" * len(head.split(" | ")) + "|", *(f"| {line} |" for line in lines), sep="\n")


def main() -> None:
    torch.set_num_threads(1)
    with torch.inference_mode():
        drawing = {family: seconds_per_sample(starter, count) for family, starter, count in STARTERS}
        taken = extractions()
    table(
        "features | look at a picture, ms | a shard of 512, MB | join it, ms | keep it, ms | reference, MB",
        [
            f"{each.name} | {1000 * each.seconds:.2f} | {(each.fixed + SHARD * each.each) / 1e6:.1f} | "
            f"{1000 * each.merge:.1f} | {1000 * each.write:.1f} | {each.reference / 1e6:.1f}"
            for each in taken
        ],
    )
    for each in taken:
        for kind, faster, price in (("cores", 1.0, CORE_HOUR), ("GPUs", GPU, GPU_HOUR)):
            lines = []
            for family, per_sample in drawing.items():
                found = [estimate(per_sample, each, workers, faster) for workers in WORKERS]
                shown = " | ".join(f"{told(one.seconds)}, {one.limit}" for one in found)
                hours = SAMPLES * (per_sample + each.seconds) / faster / 3600
                lines.append(
                    f"{family} | {1000 * per_sample / faster:.3g} | {shown} | {hours:.2g} h, ${hours * price:.2g}"
                )
            heads = " | ".join(f"{workers:,} {kind if workers > 1 else kind[:-1]}" for workers in WORKERS)
            table(f"{each.name} | a sample, ms | {heads} | drawing and looking, all together", lines)


if __name__ == "__main__":
    main()
