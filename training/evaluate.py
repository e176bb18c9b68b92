"""Held-out figures of the starter models, written to the cards beside their weights.

`python -m training.evaluate detector segmenter inpainter` measures what is in models/starter; `--starter`, elsewhere.
The generators are scored by the classifier beside them.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch

from . import evaluate_detector, evaluate_generators, evaluate_inpainter, evaluate_segmenter, scenes
from .cards import Figures, write_figures

STARTER = Path(__file__).parents[1] / "models" / "starter"
GENERATORS = ("vae", "vqvae_transformer", "vqvae_pixelcnn", "vqvae_rowlstm", "stylegan2", "ddpm", "ddgan")
EVALUATIONS: dict[str, Callable[[Path, Path], Figures]] = {
    "detector": lambda folder, data: evaluate_detector.evaluate(folder, scenes.load_sprites(data)),
    "segmenter": lambda folder, data: evaluate_segmenter.evaluate(folder, scenes.load_sprites(data)),
    "inpainter": lambda folder, data: evaluate_inpainter.evaluate(folder, scenes.load_sprites(data)),
    "classifier": evaluate_generators.evaluate_classifier,
    **dict.fromkeys(GENERATORS, evaluate_generators.evaluate),
    "vqvae_features": evaluate_generators.evaluate_features,
    "ssa_gan": evaluate_generators.evaluate_sentences,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", choices=EVALUATIONS)
    parser.add_argument("--data", type=Path, default=scenes.DATA)
    parser.add_argument("--starter", type=Path, default=STARTER, help="the folder of emoji_detector and its siblings")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for model in arguments.models:
        folder = arguments.starter / f"emoji_{model}"
        figures = EVALUATIONS[model](folder, arguments.data)
        print(json.dumps({model: figures}, indent=2), flush=True)
        write_figures(folder, figures)


if __name__ == "__main__":
    main()
