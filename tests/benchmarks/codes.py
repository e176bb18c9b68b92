"""Drawing the codes of pictures in turn, against the loop of taming-transformers: all tokens, every time."""

from __future__ import annotations

import torch
from trilemma.models.generators import noise
from trilemma.models.generators.autoregressive.code_sampling import pick
from trilemma.models.generators.autoregressive.taming_transformer import CodeGpt
from trilemma.models.generators.base import Condition
from trilemma.models.random_weights import random_weights
from trilemma.tests.benchmarks.timing import Comparison, compare_results

BATCH = 8
GRID = (16, 16)
CODES = 1024
WIDTH, LAYERS, HEADS = 256, 4, 8
TOP_K = 100
AT_LEAST = 3.0


def transformer() -> CodeGpt:
    """Of a usual picture's codes, small."""
    prior = CodeGpt(CODES, GRID[0] * GRID[1], GRID, 0, WIDTH, LAYERS, HEADS)
    prior.load_state_dict(random_weights(prior))
    return prior.requires_grad_(False)


def compare_loops(prior: CodeGpt, batch: int) -> Comparison:
    """The same codes: each is picked by the same uniform number of its sample."""
    generators = noise.generators(noise.requests(batch, 0, [Condition()]))
    uniforms = noise.uniform(generators, (prior.places,))
    begin = torch.zeros(batch, dtype=torch.int64)

    def theirs() -> torch.Tensor:
        tokens = begin[:, None]
        for place in range(prior.places):
            logits = prior.from_tokens(tokens)[:, -1]
            tokens = torch.cat([tokens, pick(logits, uniforms[:, place], top_k=TOP_K)[:, None]], dim=1)
        return tokens[:, 1:]

    def ours() -> torch.Tensor:
        codes = torch.zeros(batch, prior.places, dtype=torch.int64)
        state = prior.begin(begin)
        for place in range(prior.places):
            codes[:, place] = pick(prior.next_logits(state, codes, place), uniforms[:, place], top_k=TOP_K)
        return codes

    times, expected, found = compare_results(theirs, ours, 1)
    assert torch.equal(found, expected)
    return times


@torch.inference_mode()
def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    what = f"{GRID[0] * GRID[1]} codes of {BATCH} pictures, a transformer of {LAYERS} blocks"
    return [(what, compare_loops(transformer(), BATCH), AT_LEAST)]
