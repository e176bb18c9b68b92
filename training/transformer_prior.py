"""The starter transformer prior: draws the codes of 32 emoji, for the starter VQ-VAE to decode.

`python -m training.transformer_prior` trains it, resumes what was interrupted, and writes
models/starter/emoji_vqvae_transformer.
"""

from trilemma.models.generators.autoregressive.transformer_prior import CodeTransformer

from . import code_prior, vqvae
from .loop import Schedule
from .pictures import NAMES

SCHEDULE = Schedule(steps=2400, rate=1.5e-3, warmup=100, betas=(0.9, 0.99))
HEADS = 4


def build_prior() -> CodeTransformer:
    """0.4 M parameters."""
    return CodeTransformer(vqvae.CODES, vqvae.GRID, len(NAMES), width=96, layers=3, heads=HEADS)


if __name__ == "__main__":
    code_prior.main(__doc__, "transformer", build_prior, SCHEDULE, {"heads": HEADS})
