"""A causal transformer over the codes of a picture, with features of a picture or text as first token.

CLIP-GEN (Wang et al. 2022, arXiv:2203.00386): trained on the CLIP embeddings of pictures alone, it draws by those of
texts, which lie in the same space. Any network's features serve in the place of CLIP's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn

from ...errors import BadInput, CannotDo
from ...families import Family
from ...files.checkpoints import Checkpoint, described
from ...files.folders import weight_files
from ...weights import DtypeFor, Tensors, full_precision
from .. import noise
from ..base import Condition, Descriptor, SampleRequest
from .code_generator import PRIOR, CodeGenerator, load_parts, typical, write_tiny
from .quantised import QuantisedCoder
from .transformer_prior import HEADS, CausalTransformer, is_transformer, sizes_of

NAME: Final = "VQModel with feature prior"
CLASSES: Final = "classes"
"""Of the prior, where there are any: the mean features of each class, [classes, D]."""


class FeatureTransformer(CausalTransformer):
    """Draws by features of unit length, float32 [N, D] in the place of labels.

    features: D. classes: number of those whose mean features it keeps; 0 for none.
    """

    classes: torch.Tensor

    def __init__(
        self,
        codes: int,
        grid: tuple[int, int],
        features: int,
        classes: int = 0,
        width: int = 96,
        layers: int = 3,
        heads: int = HEADS,
    ) -> None:
        super().__init__(codes, grid, width, layers, heads)
        self.num_classes = classes
        self.feature = nn.Linear(features, width)
        if classes:
            self.register_buffer(CLASSES, torch.zeros(classes, features))

    def first(self, labels: torch.Tensor) -> torch.Tensor:
        """A linear projection of the features."""
        return self.feature(labels)


class FeatureCodeGenerator(CodeGenerator):
    """Takes a vector as condition, whose length does not count; or the name of a class, for its mean features.

    identity_of_features: of the network that they must be of; empty where the file does not tell.
    """

    _code_prior: FeatureTransformer

    def __init__(
        self,
        descriptor: Descriptor,
        coder: QuantisedCoder,
        prior: FeatureTransformer,
        identity: str,
        floats: float,
        identity_of_features: str,
    ) -> None:
        super().__init__(descriptor, coder, prior, identity, floats)
        self.identity_of_features = identity_of_features

    def check_condition(self, condition: Condition) -> None:
        """Also refuses features that are told to be of another network."""
        super().check_condition(condition)
        source = () if condition.vector is None else condition.vector.source
        if source and self.identity_of_features and self.identity_of_features not in source:
            raise BadInput(
                f"vector: this {self.descriptor.architecture} draws from features of {self.descriptor.vector_of}, and "
                f"these are of {source[0]}; take the network that it was trained with."
            )

    def remark(self, condition: Condition) -> str:
        if condition.vector is None or not condition.text:
            return ""
        return f"the class {condition.text!r} is left out: features say what to draw"

    def given(self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]) -> torch.Tensor:
        """The features of each sample, of unit length, float32 [N, D]: the request's own, or those of its class.

        Raises:
            CannotDo: there are none, and the file has no classes.
        """
        vectors = [request.condition.vector for request in requests]
        if not self.descriptor.num_classes:
            found = [vector.values for vector in vectors if vector is not None]
            if len(found) < len(vectors):
                raise CannotDo(
                    f"condition: this {self.descriptor.architecture} draws from features, and there are none; connect "
                    "Condition on Features behind Load Generator."
                )
            return F.normalize(torch.stack(found), dim=1)
        # A class is drawn in any case, so that a condition does not change the numbers that follow.
        labels = noise.labels(self.descriptor, requests, generators)
        named = self._code_prior.classes[labels.to(self._code_prior.classes.device)].float().cpu()
        rows = [row if vector is None else vector.values for vector, row in zip(vectors, named, strict=True)]
        return F.normalize(torch.stack(rows), dim=1)


def detect(checkpoint: Checkpoint) -> bool:
    """A transformer over codes, and the projection of features."""
    return is_transformer(checkpoint) and f"{PRIOR}feature.weight" in checkpoint.tensors


def load(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> FeatureCodeGenerator:
    """Sizes are read from the shapes; metadata tells the heads, the groups of the VQModel's norms, class names, and
    under "features" the network that those are of: its name, "network", and the identity of its weights, "identity"."""
    descriptor, coder, prior, identity = load_parts(checkpoint, NAME, build)
    told = described(checkpoint.metadata).get("features", {})
    descriptor = replace(
        descriptor,
        conditions=("none", "class", "vector") if prior.num_classes else ("vector",),
        class_names=descriptor.class_names if prior.num_classes else (),
        vector_size=prior.feature.in_features,
        vector_of=told.get("network", ""),
    )
    return FeatureCodeGenerator(descriptor, coder, prior, identity, coder.floats, told.get("identity", ""))


def build(tensors: Tensors, told: Mapping[str, Any]) -> FeatureTransformer:
    """A transformer that a file's tensors fit; `told` may hold "heads"."""
    codes, grid, *sizes = sizes_of(tensors, told)
    features = tensors[f"{PRIOR}feature.weight"].shape[1]
    return FeatureTransformer(codes, grid, features, len(tensors.get(PRIOR + CLASSES, ())), *sizes)


def tiny(folder: Path) -> Path:
    return write_tiny(folder, FeatureTransformer(16, (4, 4), 6, width=8, layers=2))


FAMILY: Final = Family(NAME, detect, load, tiny, weight_files, partial(typical, NAME))
