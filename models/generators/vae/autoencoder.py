"""What all autoencoders share: drawing from a prior, encoding, decoding, ways between latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from ...errors import BadInput, CannotDo
from ...steps import OnStep, quiet
from .. import noise
from ..base import Descriptor, Generator, Latents, Posterior, SampleRequest
from ..interpolation import spherical, straight
from ..options import OWN
from ..reconstruction import grey
from .priors import STANDARD, Prior, standard_normal

SPACE = "z"
OPTIONS: Mapping[str, Any] = {"temperature": 1.0, "prior": OWN}


class Coder(Protocol):
    """A network that encodes and decodes. Pixels are [N, C, H, W], nominally 0..1, latents [N, ...]."""

    def means(self, pixels: torch.Tensor) -> torch.Tensor:
        """Mean of q(z|x), or the code where the encoder is deterministic."""
        ...

    def pictures(self, latents: torch.Tensor) -> torch.Tensor:
        """Mean of p(x|z)."""
        ...


@runtime_checkable
class Variational(Protocol):
    """A coder whose encoder gives Gaussians."""

    def posteriors(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of q(z|x), [N, ...] each."""
        ...


@runtime_checkable
class Coded(Protocol):
    """A coder whose latents are those of codes; see `autoregressive.quantised.QuantisedCoder`."""

    @property
    def book(self) -> torch.Tensor:
        """The codes, float32 [K, C]."""
        ...

    def vectors(self, codes: torch.Tensor) -> torch.Tensor:
        """int64 [N, h, w] to [N, C, h, w]."""
        ...


class Autoencoder(Generator):
    """Draws by decoding latents of a prior: its own, a standard normal one, or one fitted over encoded images.

    Own is what training pulled the latents towards. Autoencoders whose latents nothing pulls have none; they encode and
    decode, and draw once a prior is fitted. Where the descriptor has classes, they are the components of the own prior.
    """

    def __init__(self, descriptor: Descriptor, network: nn.Module, prior: Prior | None, identity: str, floats: float):
        """floats: numbers per pixel of a picture that are alive at the peak of a pass."""
        self.descriptor = descriptor
        self.modules = (network,)
        self.identity = identity
        self._network: Any = network
        self._prior = prior
        self._floats = floats

    @property
    def varies(self) -> bool:
        return isinstance(self._network, Variational) and {"encode", "decode"} <= {*self.descriptor.abilities}

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> torch.Tensor:
        images = self.decode(self.latents(requests, options), requests, options)
        on_step(1, images[-1])
        return images

    def memory_bytes(self, batch_size: int) -> int:
        return int(4 * self._floats * batch_size * self.descriptor.height * self.descriptor.width)

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        prior = self._chosen(options["prior"])
        generators = noise.generators(requests)
        normals = noise.normal(generators, prior.shape)
        if self.descriptor.num_classes and prior is self._prior:
            components = noise.labels(self.descriptor, requests, generators)
        elif any(request.condition.text for request in requests):
            raise CannotDo(
                f'condition: the prior "{prior.kind}" knows no classes; set prior to "{OWN}", or remove the Condition '
                "node."
            )
        else:
            components = prior.choose(generators)
        return self._latents(prior.place(normals, components, options["temperature"]))

    def starts(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep = quiet) -> Latents:
        """Those of the prior; of an autoencoder of codes that has none, any codes, each as likely (VQGAN-CLIP)."""
        if self._prior is not None or options["prior"] != OWN or not isinstance(self._network, Coded):
            return self.latents(requests, options)
        places, book = self.descriptor.latent_shape[1:], self._network.book
        chosen = (noise.uniform(noise.generators(requests), places) * len(book)).long()
        return self._latents(self._network.vectors(chosen.to(book.device)).float().cpu())

    def encode(self, images: torch.Tensor) -> Latents:
        if "encode" not in self.descriptor.abilities:
            raise self._cannot("encode")
        return self._latents(self._network.means(self._pixels(images)).float().cpu())

    def posterior(self, images: torch.Tensor) -> Posterior | None:
        """Towards that component of the own prior which is nearest to each; to a standard normal where there is none.

        Nearest by Kullback and Leibler's divergence: of a prior per class it is the class of the image, or a likelier
        one, and so the divergence never more than that of training.
        """
        if not isinstance(self._network, Variational):
            return None
        mean, log_variance = (part.float().cpu() for part in self._network.posteriors(self._pixels(images)))
        prior = self._prior or standard_normal(mean.shape[1:], self.identity)
        towards, factors = prior.means.float(), prior.factors.square().log().float()
        # Of what differs between components with independent numbers: [N, K].
        excess = (mean.flatten(1)[:, None] - towards).square() + log_variance.flatten(1).exp()[:, None]
        nearest = (excess / factors.exp() + factors).sum(dim=2).argmin(dim=1)
        components = (values[nearest].reshape(mean.shape) for values in (towards, factors))
        return Posterior(mean, log_variance, *components)

    def decode(
        self,
        latents: Latents,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> torch.Tensor:
        if "decode" not in self.descriptor.abilities:
            raise self._cannot("decode")
        return self._shown(self._network.pictures(self._placed(latents.values)))

    def render(
        self,
        latents: Latents,
        noise: Sequence[torch.Tensor],
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
    ) -> torch.Tensor:
        """See `Generator.render`; of codes, which are chosen, see `QuantisedCoder.pictures`."""
        return self._network.pictures(self._placed(latents.values))

    def mean_latent(self) -> Latents:
        return self._latents(self._own().mean)

    def interpolate(self, start: Latents, end: Latents, shares: Sequence[float]) -> Latents:
        """Spherical about the centre of the own prior, which is Gaussian; straight where there is none."""
        if self._prior is None:
            return self._latents(straight(start.values, end.values, shares))
        centre = self._prior.mean
        return self._latents(centre + spherical(start.values - centre, end.values - centre, shares))

    def _chosen(self, choice: str | Prior) -> Prior:
        if isinstance(choice, Prior):
            if choice.identity != self.identity:
                raise BadInput(
                    f"prior: it was fitted to another model than this {self.descriptor.architecture}; fit it again "
                    "with VAE Options."
                )
            return choice
        if choice == STANDARD:
            return standard_normal(self.descriptor.latent_shape, self.identity)
        return self._own()

    def _own(self) -> Prior:
        if self._prior is None:
            raise CannotDo(
                f"generator: {self.descriptor.architecture} has no prior over its latents to draw from; fit one with "
                'VAE Options (prior "fitted Gaussian" or "Gaussian mixture", and images), or reconstruct images.'
            )
        return self._prior

    def _latents(self, values: torch.Tensor) -> Latents:
        return Latents(values, SPACE, self.identity)

    def _shown(self, pixels: torch.Tensor) -> torch.Tensor:
        """Images [N, H, W, 3], 0..1, CPU, of the network's output [N, C, H, W]."""
        return pixels.float().clamp(0, 1).cpu().permute(0, 2, 3, 1).expand(-1, -1, -1, 3).contiguous()

    def _pixels(self, images: torch.Tensor) -> torch.Tensor:
        """The network's input, [N, C, H, W]."""
        shown = images if self.descriptor.channels == 3 else grey(images)[..., :1]
        return self._placed(shown.permute(0, 3, 1, 2))

    def _placed(self, values: torch.Tensor) -> torch.Tensor:
        parameter = next(self._network.parameters())
        return values.to(parameter.device, parameter.dtype)
