"""Held-out figures of the starter models, written to the cards beside their weights.

`python -m training.evaluate detector segmenter inpainter` measures what is in models/starter; `--starter`, elsewhere.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch

from . import evaluate_detector, evaluate_inpainter, evaluate_segmenter, scenes
from .cards import Figures, write_figures
from .scenes import Sprites

STARTER = Path(__file__).parents[1] / "models" / "starter"
EVALUATIONS: dict[str, Callable[[Path, Sprites], Figures]] = {
    "detector": evaluate_detector.evaluate,
    "segmenter": evaluate_segmenter.evaluate,
    "inpainter": evaluate_inpainter.evaluate,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=EVALUATIONS)
    parser.add_argument("--data", type=Path, default=scenes.DATA)
    parser.add_argument("--starter", type=Path, default=STARTER, help="the folder of emoji_detector and its siblings")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sprites = scenes.load_sprites(arguments.data)
    for model in arguments.models:
        folder = arguments.starter / f"emoji_{model}"
        figures = EVALUATIONS[model](folder, sprites)
        print(json.dumps({model: figures}, indent=2), flush=True)
        write_figures(folder, figures)


if __name__ == "__main__":
    main()
