"""The features of new renderings of the sprites that ship with the pack: what the starter generators are scored by.

`python -m training.reference` writes models/starter/emoji_classifier/reference.npz. The rows are kept as float16, so
that the file stays below half a megabyte; the sums are exact.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from trilemma.models.files import catalog
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.features.extraction import Named, accumulate
from trilemma.models.scoring.features.feature_files import save
from trilemma.models.scoring.features.feature_set import Features
from trilemma.models.scoring.features.keys import name_by_content

from .evaluate import STARTER
from .evaluate_generators import CLASSIFIER, REAL
from .pictures import HELD_OUT, draw_pictures, load_sprites
from .scenes import DATA, Sprites

NAME = next(iter(catalog.REFERENCES))
RESIZE = "TF1"
ROWS = 1000
BATCH = 64


def take(classifier: Path, sprites: Sprites, count: int = REAL, rows: int = ROWS) -> Features:
    """Features of `count` pictures that no training has seen. classifier: folder of the scoring network."""
    pixels = draw_pictures(sprites, count, HELD_OUT).images.movedim(1, -1).contiguous()

    def samples() -> Iterator[Named]:
        for index, (name, image) in enumerate(zip(name_by_content(pixels), pixels, strict=True)):
            yield Named(name, index, image)

    extractor = EXTRACTORS.load(classifier).with_resize(RESIZE)
    return accumulate(extractor, samples(), (extractor.main,), NAME, BATCH, rows)


def write(features: Features, path: Path) -> None:
    """Save them with half as large rows."""
    rows = features.rows._replace(values=features.rows.values.half())
    save(path, features._replace(rows=rows), {"pictures": "training/pictures.py, HELD_OUT"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--starter", type=Path, default=STARTER, help="the folder of emoji_classifier")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = arguments.starter / CLASSIFIER
    write(take(folder, load_sprites(arguments.data)), folder / "reference.npz")


if __name__ == "__main__":
    main()
