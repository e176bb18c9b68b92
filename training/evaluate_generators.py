"""Held-out figures of the starter generators: all drawn by the pack's own contract, scored by the same small network.

FD, the Fréchet distance, and IS here are those of the scoring network's 128 features and 32 classes; they compare these
models with each other, and with nothing else.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.conditions import vector_conditions
from trilemma.models.generators.loading import load_generator
from trilemma.models.scoring.extractors.classifier_network import Classifier, load_classifier
from trilemma.models.scoring.metrics.frechet import Gaussian, frechet_distance, gaussian
from trilemma.models.scoring.metrics.inception_score import inception_score_of_logits

from . import captions, scenes
from .cards import Figures
from .pictures import HELD_OUT, NAMES, STYLE, draw_pictures, load_sprites

CLASSIFIER = "emoji_classifier"
REAL = 4096
STEPS = (10, 20, 50, 100, 250)
SEED = 20276
GRID_ROWS = 4


def evaluate_classifier(folder: Path, data: Path, count: int = REAL) -> Figures:
    """Accuracy on new renderings, and the FD between two halves of them: the least that a model can reach."""
    network = load_classifier(folder)
    pictures = draw_pictures(load_sprites(data), count, HELD_OUT)
    features, logits = _look(network, pictures.images.float() / 127.5 - 1)
    odd = (torch.arange(count) // len(NAMES)) % 2 == 1
    return {
        "pictures": count,
        "accuracy": float((logits.argmax(dim=1) == pictures.labels).double().mean()),
        "FD of one half against the other": frechet_distance(gaussian(features[odd]), gaussian(features[~odd])),
    }


def evaluate(folder: Path, data: Path, count: int = 2048, batch_size: int = 64) -> Figures:
    """Figures over `count` samples, the classes in turn where the model takes them; the scoring network lies beside
    `folder`. A grid of the first samples is written to `folder`/samples.png."""
    network = load_classifier(folder.with_name(CLASSIFIER))
    bound = Bound(load_generator(folder))
    descriptor = bound.generator.descriptor
    if descriptor.num_classes:
        bound = bound.with_conditions([Condition(name) for name in NAMES])
    began = time.process_time()
    pictures = torch.cat([batch.images for batch in sample(bound, count, SEED, batch_size)])
    seconds = time.process_time() - began
    _write_grid(pictures, folder / "samples.png")
    features, logits = _look(network, pictures.movedim(-1, 1) * 2 - 1)
    distance = frechet_distance(gaussian(features), _reference(network, data))
    figures = {
        "samples": count,
        "parameters": descriptor.parameters,
        "FD (scoring network, 4,096 held-out pictures)": distance,
        "IS (scoring network)": inception_score_of_logits(logits).mean,
        "samples per CPU second": count / seconds,
        "network steps per sample": bound.generator.evaluations(bound.settings),
    }
    if descriptor.num_classes:
        wanted = torch.arange(count) % len(NAMES)
        figures["shows the class that was asked for"] = float((logits.argmax(dim=1) == wanted).double().mean())
    return figures


def evaluate_features(folder: Path, data: Path, count: int = 2048, batch_size: int = 64) -> Figures:
    """As `evaluate`, by the names of classes; and by the scoring network's features of held-out pictures: whether the
    emoji is theirs, and how far apart features of unit length lie."""
    network = load_classifier(folder.with_name(CLASSIFIER))
    pictures = draw_pictures(load_sprites(data), 2 * count, HELD_OUT)
    seen, _ = _look(network, pictures.images.float() / 127.5 - 1)
    given, others = F.normalize(seen, dim=1).split(count)
    bound = Bound(load_generator(folder)).with_conditions(vector_conditions(given, ()))
    drawn = torch.cat([batch.images for batch in sample(bound, count, SEED, batch_size)])
    features, logits = _look(network, drawn.movedim(-1, 1) * 2 - 1)
    features = F.normalize(features, dim=1)
    right = logits.argmax(dim=1) == pictures.labels[:count]
    return {
        **evaluate(folder, data, count, batch_size),
        "shows the emoji of the picture that was given": float(right.double().mean()),
        "distance of its features to the given ones": float((features - given).norm(dim=1).mean()),
        "that of another rendering's": float((others - given).norm(dim=1).mean()),
    }


def evaluate_sentences(folder: Path, data: Path, count: int = 2048, batch_size: int = 64) -> Figures:
    """As `evaluate`, for a model that draws by the sentences of captions.py: whether the emoji and its ground are those
    of the sentence. The FD is against held-out pictures of the same emoji and grounds."""
    network = load_classifier(folder.with_name(CLASSIFIER))
    labels = [number % captions.LABELS for number in range(count)]
    patterns = [captions.sentences(label) for label in labels]
    texts = [said[number // captions.LABELS % len(said)] for number, said in enumerate(patterns)]
    bound = Bound(load_generator(folder)).with_conditions([Condition(text) for text in texts])
    began = time.process_time()
    pictures = torch.cat([batch.images for batch in sample(bound, count, SEED, batch_size)])
    seconds = time.process_time() - began
    by_name = [Condition(f"a {name} on white ground") for name in NAMES if name in captions.NAMES]
    rows = next(sample(bound.with_conditions(by_name), GRID_ROWS * len(by_name), SEED, GRID_ROWS * len(by_name))).images
    _write_grid(rows, folder / "samples.png", len(by_name))
    features, logits = _look(network, pictures.movedim(-1, 1) * 2 - 1)
    real = captions.draw_cutouts(scenes.load_sprites(data, captions.NAMES, (STYLE,)), REAL, HELD_OUT)
    batch, _ = real.batch(np.random.default_rng([HELD_OUT]), REAL)
    reference, _ = _look(network, batch)
    wanted = torch.tensor([NAMES.index(captions.NAMES[label // len(captions.COLOURS)]) for label in labels])
    return {
        "samples": count,
        "parameters": bound.generator.descriptor.parameters,
        "FD (scoring network, 4,096 held-out pictures)": frechet_distance(gaussian(features), gaussian(reference)),
        "samples per CPU second": count / seconds,
        "shows the emoji that the sentence names": float((logits.argmax(dim=1) == wanted).double().mean()),
        "has the ground that the sentence names": _right_grounds(pictures, labels),
    }


def _right_grounds(pictures: Tensor, labels: Sequence[int]) -> float:
    """Share of pictures [N, H, W, 3], 0..1, whose corners are nearest to the ground that was asked for."""
    corners = pictures[:, [0, 0, -1, -1], [0, -1, 0, -1]].median(dim=1).values * 255
    grounds = torch.tensor(list(captions.GROUNDS.values())).float()
    nearest = torch.cdist(corners, grounds).argmin(dim=1).tolist()
    asked = [label % len(captions.COLOURS) for label in labels]
    right = [found == colour for found, colour in zip(nearest, asked, strict=True) if colour < len(captions.GROUNDS)]
    return sum(right) / len(right)


def evaluate_steps(folder: Path, data: Path, samplers: Sequence[str], count: int = 128) -> None:
    """Print, for each sampler, the FD of `count` pictures over STEPS, with the model's own guidance."""
    network = load_classifier(folder.with_name(CLASSIFIER))
    reference = _reference(network, data)
    own = Bound(load_generator(folder)).with_conditions([Condition(name) for name in NAMES])
    for sampler in samplers:
        for steps in STEPS:
            bound = own.with_options("diffusion", {"sampler": sampler, "steps": steps})
            pictures = torch.cat([batch.images for batch in sample(bound, count, SEED, 64)])
            features, logits = _look(network, pictures.movedim(-1, 1) * 2 - 1)
            shown = float((logits.argmax(dim=1) == torch.arange(count) % len(NAMES)).double().mean())
            distance = frechet_distance(gaussian(features), reference)
            print(f"| {sampler} | {steps} | {distance:.2f} | {shown:.3f} |", flush=True)


def _reference(network: Classifier, data: Path) -> Gaussian:
    features, _ = _look(network, draw_pictures(load_sprites(data), REAL, HELD_OUT).images.float() / 127.5 - 1)
    return gaussian(features)


@torch.no_grad()
def _look(network: Classifier, pictures: Tensor) -> tuple[Tensor, Tensor]:
    features = torch.cat([network.features(part) for part in pictures.split(256)])
    return features, network.head(features)


def _write_grid(pictures: Tensor, path: Path, columns: int = len(NAMES)) -> None:
    rows = (pictures[: GRID_ROWS * columns] * 255).round().byte().numpy()
    size = rows.shape[1]
    tiles = rows.reshape(GRID_ROWS, columns, size, size, 3).transpose(0, 2, 1, 3, 4)
    sheet = Image.fromarray(np.ascontiguousarray(tiles.reshape(GRID_ROWS * size, columns * size, 3)))
    # 256 colours, a third of the bytes.
    sheet.quantize(dither=Image.Dither.NONE).save(path, optimize=True)
