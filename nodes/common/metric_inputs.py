"""The inputs of every node that scores sets of features: by what subsets and neighbours, and under which name."""

from __future__ import annotations

from typing import Final

from ...models.scoring.metrics.kernel import KERNELS, SUBSET_SIZE, SUBSETS
from ...models.scoring.metrics.neighbours import NEAREST, NEIGHBOURHOODS
from ...models.scoring.protocols import CHOICES
from . import inputs, kinds

METRIC_INPUTS: Final = {
    "kid_subsets": inputs.advanced(inputs.integer(SUBSETS, 1, 10_000, "Random subsets over which KID is averaged.")),
    "kid_subset_size": inputs.advanced(
        inputs.integer(
            SUBSET_SIZE, 2, 100_000, "Images of each set in a subset; where no more rows were kept, half of them."
        )
    ),
    "nearest_k": inputs.advanced(
        inputs.integer(
            NEAREST,
            1,
            1000,
            "Precision, recall, density and coverage: an image's neighbourhood reaches to its k-th nearest.",
        )
    ),
    "subsets_seed": inputs.advanced(inputs.fixed_seed("Of the random subsets of KID and of FID at infinity.")),
}
"""By the names of models/scoring/evaluation.py's Settings."""

NEIGHBOURHOOD: Final = {
    "neighbourhood": inputs.advanced(
        inputs.choice(
            NEIGHBOURHOODS,
            "Whether precision, recall, density and coverage count an image whose distance equals the radius. "
            "open: no, as prdc and torch-fidelity. closed: yes, as the paper defines it.",
        )
    ),
}
"""One that came later: saved graphs hold inputs by their order."""

EXTRAS: Final = {
    "kid_kernel": inputs.advanced(
        inputs.choice(
            KERNELS,
            "Of KID. polynomial: KID's own, cubic. gaussian: torch-fidelity's rbf, sigma 10. rational quadratic: the "
            "sum of five that Bińkowski et al. take.",
        )
    ),
    "diversity": inputs.boolean(
        False, "Take the Vendi score, the truncated Vendi score and RKE of the generated images too."
    ),
    "held_out": inputs.link(
        kinds.FEATURES,
        "Real images that the generator was not trained on, where the reference is what it was trained on: asks "
        "whether it copies (AuthPct, C_T, FLD).",
    ),
    "protocol": inputs.choice(
        CHOICES,
        "A way of scoring that the literature has a name for: takes its metrics by its settings, and is an error that "
        "names what differs where extractor, resize or counts are others.",
    ),
}
"""Those that came after it."""


def name_of_images(default: str) -> inputs.Input:
    """The input by which single images get a name."""
    return inputs.text(default, "How tables and Score Gate call these images.")
