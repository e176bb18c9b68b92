"""The starter PixelCNN prior: draws the codes of 32 emoji, for the starter VQ-VAE to decode.

`python -m training.pixelcnn_prior` trains it, resumes what was interrupted, and writes
models/starter/emoji_vqvae_pixelcnn.
"""

from trilemma.models.generators.autoregressive.pixelcnn_prior import PixelCNN

from . import code_prior, vqvae
from .loop import Schedule
from .pictures import NAMES

SCHEDULE = Schedule(steps=2400, rate=2e-3, warmup=100, betas=(0.9, 0.99))


def build_prior() -> PixelCNN:
    """0.5 M parameters; eight layers see the whole picture."""
    return PixelCNN(vqvae.CODES, vqvae.GRID, len(NAMES), width=48, layers=8)


if __name__ == "__main__":
    code_prior.main(__doc__, "pixelcnn", build_prior, SCHEDULE, {})
