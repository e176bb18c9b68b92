"""A VQModel and a prior over its codes: draws codes one after the other, then decodes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from ... import weights
from ...diffusion.networks import todays_attention
from ...files.checkpoints import Checkpoint, described
from ...files.usual_names import usual_names
from ...random_weights import random_weights, write
from ...steps import OnStep, quiet
from ...weights import Tensors, empty_weights
from .. import noise
from ..base import Descriptor, Latents, SampleRequest
from ..completion import kept_rows
from ..vae.autoencoder import Autoencoder
from . import vq_model
from .code_prior import CodePrior
from .code_sampling import pick
from .quantised import QuantisedCoder

P = TypeVar("P", bound=CodePrior)
CODER: Final = "vqvae."
PRIOR: Final = "prior."
OPTIONS: Final[Mapping[str, Any]] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
ABILITIES: Final = ("sample", "encode", "decode", "interpolate", "complete")
UNKNOWN: Final = 0.5
"""Grey of what a preview does not know yet."""


class CodeGenerator(Autoencoder):
    """Encodes to vectors before quantisation; decoding them, or vectors between them, quantises first."""

    def __init__(self, descriptor: Descriptor, coder: QuantisedCoder, prior: CodePrior, identity: str, floats: float):
        """floats: see Autoencoder."""
        super().__init__(descriptor, coder, None, identity, floats)
        self.modules = (coder, prior)
        self._code_prior = prior

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> torch.Tensor:
        return self._drawn(self.codes(requests, options, on_step), on_step)

    def _drawn(self, codes: torch.Tensor, on_step: OnStep) -> torch.Tensor:
        """The pictures of whole codes, the last of which is the last preview."""
        images = self._restored(codes)
        on_step(self._code_prior.places, images[-1])
        return images

    def evaluations(self, options: Mapping[str, Any]) -> int:
        """One for each code."""
        return self._code_prior.places

    def memory_bytes(self, batch_size: int) -> int:
        """Either the prior's, with one picture that is decoded as a preview, or that of decoding the batch."""
        drawing = int(4 * batch_size * self._code_prior.floats()) + super().memory_bytes(1)
        return max(drawing, super().memory_bytes(batch_size))

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        """The vectors of the codes that the prior draws."""
        return self._vectors(self.codes(requests, options))

    def starts(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep = quiet) -> Latents:
        return self._vectors(self.codes(requests, options, on_step))

    def complete(
        self,
        images: torch.Tensor,
        share: float,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> torch.Tensor:
        kept, _ = kept_rows(self.descriptor, share)
        begun = self._network.codes(self._placed(self.encode(images).values))[:, :kept].flatten(1)
        return self._drawn(self.codes(requests, options, on_step, begun), on_step)

    def given(self, requests: Sequence[SampleRequest], generators: Sequence[torch.Generator]) -> torch.Tensor:
        """What the prior begins with, a row to each sample: its class, int64 [N], 0 where there are none."""
        if self.descriptor.num_classes:
            return noise.labels(self.descriptor, requests, generators)
        return torch.zeros(len(requests), dtype=torch.int64)

    def codes(
        self,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
        begun: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The prior's codes, int64 [N, h, w], CPU. Each takes one number that the sample's generator drew before.

        on_step: called after each code but the last, which is told with the whole picture (`_drawn`). begun: the first
        codes of each, int64 [N, k], which are not drawn.
        """
        generators = noise.generators(requests)
        device = self._code_prior.code.weight.device
        labels = self.given(requests, generators)
        uniforms = noise.uniform(generators, (self._code_prior.places,))
        rows, columns = self._code_prior.grid
        codes = torch.zeros(len(requests), rows * columns, dtype=torch.int64)
        known = codes.to(device)
        given = 0 if begun is None else begun.shape[1]
        if begun is not None:
            codes[:, :given], known[:, :given] = begun.cpu(), begun.to(device)
        state = self._code_prior.begin(labels.to(device))
        for place in range(self._code_prior.places):
            logits = self._code_prior.next_logits(state, known, place)
            if place >= given:
                codes[:, place] = pick(logits, uniforms[:, place], **options)
                known[:, place] = codes[:, place].to(device)
            row, column = divmod(place + 1, columns)
            if row < rows:
                shown = column == 0 and row % max(1, rows // 4) == 0
                on_step(place + 1, self._preview(codes[-1].reshape(rows, columns)[:row]) if shown else None)
        return codes.reshape(-1, rows, columns)

    def mean_latent(self) -> Latents:
        raise self._cannot("tell a mean latent")

    def _preview(self, codes: torch.Tensor) -> torch.Tensor:
        """The rows of one picture that are drawn so far, [H, W, 3]."""
        image = self._restored(codes[None])[0]
        return F.pad(image, (0, 0, 0, 0, 0, self.descriptor.height - len(image)), value=UNKNOWN)

    def _restored(self, codes: torch.Tensor) -> torch.Tensor:
        """What `decode` gives of their vectors, which need not be looked for in the codebook again."""
        return self._shown(self._network.restored(self._network.vectors(codes.to(self._network.book.device))))

    def _vectors(self, codes: torch.Tensor) -> Latents:
        placed = codes.to(self._network.book.device)
        return self._latents(self._network.vectors(placed).float().cpu())


def load_code_generator(
    checkpoint: Checkpoint, name: str, build: Callable[[Tensors, Mapping[str, Any]], CodePrior]
) -> CodeGenerator:
    """What draws by classes with both networks of one file; see `load_parts`."""
    descriptor, coder, prior, identity = load_parts(checkpoint, name, build)
    return CodeGenerator(descriptor, coder, prior, identity, coder.floats)


def load_parts(
    checkpoint: Checkpoint, name: str, build: Callable[[Tensors, Mapping[str, Any]], P]
) -> tuple[Descriptor, vq_model.VQModelCoder, P, str]:
    """Both networks of one file, their names prefixed; and for a CodeGenerator of classes descriptor and identity.

    build: makes the prior that fits the file's tensors and metadata.

    Raises:
        BadCheckpoint: a tensor is missing, unexpected, or of another shape.
    """
    told = described(checkpoint.metadata)
    tensors = todays_attention(checkpoint.tensors)
    coder = vq_model.build(weights.under(tensors, CODER), told)
    with empty_weights():
        prior = build(tensors, told)
    both = nn.ModuleDict({CODER.rstrip("."): coder.network, PRIOR.rstrip("."): prior})
    weights.fill(both, tensors, f"{checkpoint.name}, {name}")
    rows, columns = prior.grid
    descriptor = Descriptor(
        family="autoregressive",
        architecture=name,
        height=rows * coder.scale,
        width=columns * coder.scale,
        channels=coder.network.config.out_channels,
        parameters=sum(parameter.numel() for part in (coder, prior) for parameter in part.parameters()),
        conditions=("none", "class"),
        class_names=tuple(told.get("class_names", ())),
        num_classes=prior.num_classes,
        latent_shape=(coder.book.shape[1], rows, columns),
        options=OPTIONS,
        abilities=ABILITIES,
    )
    return descriptor, coder, prior, weights.identity(tensors)


def typical(prior: str) -> frozenset[str]:
    """Names of a file that holds a VQModel and this prior, both of usual size."""
    coder = usual_names(vq_model.NAME)
    return frozenset({CODER + name for name in coder} | {PRIOR + name for name in usual_names(prior)})


def write_tiny(folder: Path, prior: CodePrior) -> Path:
    """A small file of a VQModel and this prior, of 16 codes."""
    parts = {CODER: vq_model.of_widths((32, 32), 1, codes=16), PRIOR: prior}
    tensors = {prefix + name: value for prefix in parts for name, value in random_weights(parts[prefix]).items()}
    return write(folder / "tiny.safetensors", tensors)
