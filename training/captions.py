"""Sentences of an emoji on a coloured ground, the pictures that they are of, and the encoder that reads them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from trilemma.models.generators.gan.text_to_image.text_encoder import TextEncoder
from trilemma.models.generators.gan.text_to_image.words import WORD

from . import scenes
from .pictures import SIZE, STYLE
from .scenes import Sprites

NAMES = (
    "dog", "cat", "fox", "panda", "pig", "frog", "bee", "fish", "apple", "strawberry", "carrot", "mushroom", "car",
    "heart", "ghost", "sun",
)  # fmt: skip
GROUNDS = {
    "white": (252, 252, 252), "grey": (200, 200, 204), "pink": (255, 196, 210), "blue": (186, 212, 255),
    "green": (196, 238, 196), "yellow": (255, 244, 170), "orange": (255, 212, 168), "purple": (222, 196, 250),
}  # fmt: skip
COLOURS = (*GROUNDS, "")
"""What a sentence says of the ground; the last says nothing."""
COLOURED = (
    "a {name} on {colour} ground",
    "a {name} on a {colour} background",
    "{colour} ground with a {name}",
    "the picture shows a {name} , its ground is {colour}",
    "{name} {colour}",
)
PLAIN = ("a {name}", "{name}", "a picture of a {name}", "the picture shows a {name}", "this is a {name}")
JITTER = 5
EMBEDDING, HIDDEN = 48, 32
STEPS, BATCH = 800, 64


def label_of(name: int, colour: int) -> int:
    """One number for both."""
    return name * len(COLOURS) + colour


LABELS = len(NAMES) * len(COLOURS)


def sentences(label: int) -> list[str]:
    """All that are said of a label, as many for each."""
    name, colour = NAMES[label // len(COLOURS)], COLOURS[label % len(COLOURS)]
    return [pattern.format(name=name, colour=colour) for pattern in (COLOURED if colour else PLAIN)]


def vocabulary() -> list[str]:
    """Every word of every sentence, sorted."""
    return sorted({word for label in range(LABELS) for text in sentences(label) for word in WORD.findall(text)})


def numbered(text: str, numbers: dict[str, int]) -> list[int]:
    """The words of a sentence, by number."""
    return [numbers[word] for word in WORD.findall(text)]


class Cutouts(NamedTuple):
    """Pictures without their ground."""

    images: Tensor
    """uint8 [N, 4, 32, 32], RGBA, colours times alpha."""
    names: Tensor
    """int64 [N], index in NAMES."""

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """`size` random pictures, float32 [size, 3, 32, 32] in -1..1, on grounds of all colours, and their labels; a
        ninth of the labels does not tell the ground."""
        chosen = torch.from_numpy(rng.integers(len(self.images), size=size))
        colours = rng.integers(len(GROUNDS), size=size)
        grounds = np.array(list(GROUNDS.values()))[colours] + rng.integers(-JITTER, JITTER + 1, (size, 3))
        ground = torch.from_numpy(grounds.clip(0, 255)).float()[:, :, None, None]
        pixels = self.images[chosen].float()
        whole = pixels[:, :3] + (1 - pixels[:, 3:] / 255) * ground
        told = np.where(rng.random(size) < 1 / len(COLOURS), len(GROUNDS), colours)
        return whole / 127.5 - 1, self.names[chosen] * len(COLOURS) + torch.from_numpy(told)


def draw_cutouts(sprites: Sprites, count: int, stream: int) -> Cutouts:
    """`count` renderings, the names in turn, posed as the other starters' pictures are."""
    drawn = []
    for index in range(count):
        rng = np.random.default_rng([stream, index])
        sprite = scenes.pose(rng, sprites[NAMES[index % len(NAMES)], STYLE], SIZE, (0.8, 1.0), 8.0, flip=True)
        canvas = Image.new("RGBA", (SIZE, SIZE))
        canvas.paste(sprite, tuple(int(rng.integers(SIZE - side + 1)) for side in sprite.size))
        pixels = np.asarray(canvas).astype(np.float32)
        pixels[..., :3] *= pixels[..., 3:] / 255
        drawn.append(pixels.round().astype(np.uint8))
    images = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).contiguous()
    return Cutouts(images, torch.arange(count) % len(NAMES))


def encoded(encoder: TextEncoder, captions: Sequence[Sequence[int]]) -> Tensor:
    """The sentences' vectors, [N, 2 HIDDEN]."""
    lengths = torch.tensor([len(each) for each in captions])
    padded = torch.zeros(len(captions), int(lengths.max()), dtype=torch.int64)
    for row, each in zip(padded, captions, strict=True):
        row[: len(each)] = torch.tensor(each)
    return encoder(padded, lengths)[1]


def train_encoder(numbers: dict[str, int], seed: int = 0) -> TextEncoder:
    """Learns to tell name and ground from every sentence, also from ones whose words are left out at random, so that
    sentences of other forms are understood."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    encoder = TextEncoder(len(numbers), EMBEDDING, HIDDEN)
    heads = nn.ModuleList([nn.Linear(2 * HIDDEN, len(NAMES)), nn.Linear(2 * HIDDEN, len(COLOURS))])
    optimizer = torch.optim.Adam([*encoder.parameters(), *heads.parameters()], lr=3e-3)
    filler = [number for word, number in numbers.items() if word not in NAMES and word not in GROUNDS and number]
    for step in range(STEPS):
        labels = rng.integers(LABELS, size=BATCH)
        captions = []
        for label in labels:
            words = numbered(str(rng.choice(sentences(int(label)))), numbers)
            words = [word for word in words if word not in filler or rng.random() < 0.7]
            for _ in range(rng.integers(3)):
                words.insert(int(rng.integers(len(words) + 1)), int(rng.choice(filler)))
            captions.append(words)
        vectors = encoded(encoder, captions)
        wanted = torch.from_numpy(labels)
        names, colours = (head(vectors) for head in heads)
        loss = F.cross_entropy(names, wanted // len(COLOURS)) + F.cross_entropy(colours, wanted % len(COLOURS))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if (step + 1) % 200 == 0:
            print(f"text encoder step {step + 1}/{STEPS} loss {loss.item():.4f}", flush=True)
    return encoder.requires_grad_(False).eval()
