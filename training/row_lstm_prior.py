"""The starter Row LSTM prior: draws the codes of 32 emoji, for the starter VQ-VAE to decode.

`python -m training.row_lstm_prior` trains it, resumes what was interrupted, and writes
models/starter/emoji_vqvae_rowlstm.
"""

from trilemma.models.generators.autoregressive.row_lstm_prior import RowLSTM

from . import code_prior, vqvae
from .loop import Schedule
from .pictures import NAMES

SCHEDULE = Schedule(steps=2400, rate=3e-3, warmup=100, betas=(0.9, 0.99))


def build_prior() -> RowLSTM:
    """0.36 M parameters."""
    return RowLSTM(vqvae.CODES, vqvae.GRID, len(NAMES), width=64, hidden=32, layers=5)


if __name__ == "__main__":
    code_prior.main(__doc__, "rowlstm", build_prior, SCHEDULE, {})
