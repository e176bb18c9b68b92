"""The contract of every generator: what it says of itself, and how a batch of pictures is drawn from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import torch
from torch import nn

from ..closed_vocabulary import nearest
from ..errors import BadInput, CannotDo
from ..pictures.labels import bare
from ..steps import OnStep, quiet
from ..texts import SHOWN, whole_number
from .given import Given

FamilyName = Literal["vae", "autoregressive", "gan", "diffusion", "images"]
Ability = Literal[
    "sample",
    "encode",
    "decode",
    "interpolate",
    "style mix",
    "complete",
    "factorise",
    "project",
    "show stages",
    "upsample",
]
SETTLED: Final = "+"
"""Behind the name of a space; see `Latents`."""
ConditionKind = Literal["none", "class", "prompt", "image", "images", "vector"]
"""What pictures are drawn from: a class, a prompt, one image or several, a vector that tells what an image or text is
of; "none": nothing."""

NO_CLASS: Final = "(none)"
"""A condition's text for no class, of models that have learned to draw without."""
MOST_NAMES: Final = 100
"""Names of classes that an error lists; of more it tells the nearest."""


class Condition(NamedTuple):
    """What one picture shall show: all of it that is given, and what is not is left to the model.

    text: a class by its name or number, or a prompt. negative: what shall not be seen. images: each float32
    [H, W, 3], 0..1. vector: float32 [D], of an image or text, as the network tells it that the model was trained with.
    """

    text: str = ""
    negative: str = ""
    images: tuple[Given, ...] = ()
    vector: Given | None = None

    def told(self) -> list[Any]:
        """It in values that JSON knows, images and vector by their digests."""
        given = [each.digest for each in self.images]
        if self.vector is not None:
            return [self.text, self.negative, given, self.vector.digest]
        return [self.text, self.negative, given] if given else [self.text, self.negative]


class SampleRequest(NamedTuple):
    """One picture of a run. Nothing else decides what it looks like.

    index: place in the run. seed: 0 to 2^64 - 1. condition: what it shows.
    """

    index: int
    seed: int
    condition: Condition


class Latents(NamedTuple):
    """Points in a generator's latent space.

    values: float32 [N, ...], each of the generator's latent shape (or of `space`, where a family has several).
    space: "z", the space that samples are drawn from, or another that the family names, such as StyleGAN's "w". A plus
    sign behind it: of the same space, and settled; see `Generator.settled`.
    identity: `Generator.identity` of the weights that they belong to.
    """

    values: torch.Tensor
    space: str
    identity: str


class Space(NamedTuple):
    """One of a generator's latent spaces. shape: of one latent. layers: parts along its first axis, of which each layer
    takes its own; 0 where latents are whole."""

    name: str
    shape: tuple[int, ...]
    layers: int = 0


class Posterior(NamedTuple):
    """q(z|x) of N images, a Gaussian with independent numbers, and the one that training pulled it towards.

    mean, log_variance, prior_mean, prior_log_variance: float32 [N, ...], each of the generator's latent shape.
    """

    mean: torch.Tensor
    log_variance: torch.Tensor
    prior_mean: torch.Tensor
    prior_log_variance: torch.Tensor


class Map(NamedTuple):
    """Where something counted for a picture. label: what. values: float32 [h, w], 0..1."""

    label: str
    values: torch.Tensor


class Look(NamedTuple):
    """How one picture came about. title: what it shows, in words. pictures: of each stage, float32 [h, w, 3], 0..1, the
    last one the result. maps: of words, or of the sentence."""

    title: str
    pictures: tuple[torch.Tensor, ...]
    maps: tuple[Map, ...]


@dataclass(frozen=True)
class Descriptor:
    """What a generator says of itself.

    architecture: its name, as messages and tables show it. height, width: of its pictures, pixels. channels: 1, 3,
    or 4 with alpha. parameters: number of weights. conditions: the kinds that it takes ("none" where it also draws
    without).
    class_names: names of its classes in order; empty where the file does not tell them, then numbers serve.
    num_classes: 0 where it has none. takes_no_class: whether NO_CLASS is one more. vector_size: of the vectors that it
    draws from, 0 where it takes none. vector_of: the network whose features they are; empty where the file does not
    tell. latent_shape: of one latent, without the batch; empty where it has none.
    size_multiple: 0 where pictures are always height x width; else encode and decode take every size that it divides.
    options: option -> the model's own default; see `options.py` for what they mean.
    abilities: what can be done with it.
    """

    family: FamilyName
    architecture: str
    height: int
    width: int
    channels: int
    parameters: int
    conditions: tuple[ConditionKind, ...] = ("none",)
    class_names: tuple[str, ...] = ()
    num_classes: int = 0
    takes_no_class: bool = False
    vector_size: int = 0
    vector_of: str = ""
    latent_shape: tuple[int, ...] = ()
    size_multiple: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    abilities: tuple[Ability, ...] = ("sample",)


class Generator(ABC):
    """Weights of one architecture, ready to draw. Holds no state of a run: settings come with every call.

    A subclass sets `descriptor`, `modules` and `identity` and implements `draw` and `memory_bytes`, and of the others
    those whose ability it declares. Its methods run under `torch.no_grad` (see `binding.py`), with `modules` on one
    device, which they ask their own parameters for; what they return is float32 on the CPU.
    """

    descriptor: Descriptor
    modules: tuple[nn.Module, ...]
    identity: str
    """Tells these weights from others; see `weights.identity`."""
    files: tuple[Path, ...] = ()
    """What it was read from; empty where it comes from no file, or the host has read it."""
    notes: tuple[str, ...] = ()
    """What was chosen of the file, as sentences: which of several networks, and whether averaged."""

    small_side: int = 0
    """Of the images that `upsample` takes, pixels; 0 for a generator that does not."""

    @property
    def varies(self) -> bool:
        """Whether its encoder gives Gaussians, see `posterior`."""
        return False

    @abstractmethod
    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> torch.Tensor:
        """One batch: float32 [N, H, W, 3], 0..1, [N, H, W, 4] with alpha; sample i depends on `requests[i]` alone.

        options: every option of the descriptor, checked. on_step: called with the evaluations done in this batch,
        up to `evaluations(options)`, and now and then with a preview [H, W, 3].
        """

    @abstractmethod
    def memory_bytes(self, batch_size: int) -> int:
        """Activation memory of one batch, within 0.7 to 1.5 times of what is measured."""

    def evaluations(self, options: Mapping[str, Any]) -> int:
        """How often the network evaluates a sample, its cost; with guidance it does so twice in a step."""
        return 1

    def check_condition(self, condition: Condition) -> None:
        """Raise BadInput when the generator cannot draw this; called when a condition is bound."""
        if condition.text and self.descriptor.num_classes:
            class_number(self.descriptor, condition.text)
        elif condition.text and "prompt" not in self.descriptor.conditions:
            raise CannotDo(f"condition: {self.descriptor.architecture} takes none; remove the Condition node.")
        if condition.negative and "prompt" not in self.descriptor.conditions:
            raise CannotDo(f"negative_prompt: {self.descriptor.architecture} takes no prompts; leave it empty.")

    def remark(self, condition: Condition) -> str:
        """What to say of a condition that the model understands in part; empty where it does so wholly."""
        return ""

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        """The latents from which `draw` would start."""
        raise self._cannot("decode")

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Its latent spaces, that of `latents` first; empty where it has none."""
        shape = self.descriptor.latent_shape
        return (Space("z", shape),) if shape else ()

    def space_of(self, latents: Latents) -> Space:
        """Which of `spaces` latents are in.

        Raises:
            BadInput: they belong to other weights.
        """
        found = [space for space in self.spaces if space.name == latents.space.removesuffix(SETTLED)]
        if latents.identity != self.identity or not found:
            raise BadInput(
                f"latent: it belongs to another model than this {self.descriptor.architecture}; take the generator "
                "that drew or encoded it."
            )
        return found[0]

    def gaussian(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        """The z of which `latents` are made; the same where they are in that space."""
        return self.latents(requests, options)

    def settled(self, latents: Latents, options: Mapping[str, Any]) -> Latents:
        """The same pictures' latents, on which no option acts any more when they are decoded: what edits begin with.
        Where options do act on them, the new ones have SETTLED behind the name of their space."""
        return latents

    def starts(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep = quiet) -> Latents:
        """The settled latents of the pictures that `draw` draws, from which guidance moves on. on_step: as in `draw`,
        for models that take several steps."""
        return self.settled(self.latents(requests, options), options)

    def readers(self) -> list[torch.Tensor]:
        """By what each layer reads its part of a latent of the first space: a matrix, float [outputs, numbers of the
        part]; one matrix where latents are whole."""
        raise self._cannot("factorise")

    def noise_sides(self, options: Mapping[str, Any]) -> tuple[int, ...]:
        """Sides of the maps of noise that `render` takes, pixels; empty where pictures have no noise."""
        return ()

    def render(
        self,
        latents: Latents,
        noise: Sequence[torch.Tensor],
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
    ) -> torch.Tensor:
        """The pictures of settled latents, [N, channels, H, W], about 0..1 and not cut off, on the device of the
        networks, with their derivatives by the latents and by the noise.

        noise: [N, 1, side, side] of each of `noise_sides`. The requests give conditions.
        """
        raise self._cannot("project")

    def encode(self, images: torch.Tensor) -> Latents:
        """The latents of images, float32 [N, H, W, 3], 0..1, of any size that the model takes."""
        raise self._cannot("encode")

    def posterior(self, images: torch.Tensor) -> Posterior | None:
        """What a variational encoder says of images, as `encode` takes them; None where there is no such encoder."""
        return None

    def decode(
        self,
        latents: Latents,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> torch.Tensor:
        """The pictures of latents, float32 [N, H, W, 3], 0..1. The requests give conditions and further noise.

        on_step: as in `draw`, for models that take several steps.
        """
        raise self._cannot("decode")

    def mean_latent(self) -> Latents:
        """The centre of the latent space, [1, ...]: what truncation pulls towards."""
        raise self._cannot("decode")

    def interpolate(self, start: Latents, end: Latents, shares: Sequence[float]) -> Latents:
        """Latents between two (each [1, ...]) at the given shares of the way, 0 to 1."""
        raise self._cannot("interpolate")

    def style_mix(self, coarse: Latents, fine: Latents, crossover: int) -> Latents:
        """`coarse` with the styles of `fine` from layer `crossover` on."""
        raise self._cannot("style mix")

    def complete(
        self,
        images: torch.Tensor,
        share: float,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> torch.Tensor:
        """Pictures [N, H, W, 3] that begin as images of the model's size, with a share of their rows, and go on as the
        requests draw them. on_step: as in `draw`."""
        raise self._cannot("complete")

    def upsample(
        self,
        images: torch.Tensor,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> torch.Tensor:
        """Pictures [N, H, W, 3] that show images of `small_side` pixels a side at the model's size, a request to each.
        on_step: as in `draw`."""
        raise self._cannot("upsample")

    def looks(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> list[Look]:
        """How `draw` would come to each picture."""
        raise self._cannot("show stages")

    def check_can(self, ability: Ability) -> None:
        """Raise CannotDo unless the generator has this ability."""
        if ability not in self.descriptor.abilities:
            raise self._cannot(ability)

    def _cannot(self, ability: str) -> CannotDo:
        can = ", ".join(self.descriptor.abilities)
        return CannotDo(f"generator: {self.descriptor.architecture} cannot {ability}; it can: {can}.")


def as_images(pictures: torch.Tensor) -> torch.Tensor:
    """[N, C, H, W], C of 1, 3 or 4, as IMAGE on the CPU: [N, H, W, 3], grey in three equal planes, or [N, H, W, 4]."""
    images = pictures.permute(0, 2, 3, 1).cpu()
    return images.expand(-1, -1, -1, max(3, images.shape[-1])).contiguous()


def class_number(descriptor: Descriptor, text: str) -> int:
    """The class that a condition names, see `number_of_class`; the number behind the last for none."""
    if descriptor.takes_no_class and text.strip() == NO_CLASS:
        return descriptor.num_classes
    asked = f"condition: {descriptor.architecture}"
    return number_of_class(text, descriptor.class_names, descriptor.num_classes, asked)


def number_of_class(text: str, class_names: Sequence[str], count: int, asked: str) -> int:
    """Which of `count` classes is meant by its name or its number from 0.

    A name counts as it is written, else whatever its article and case. class_names: empty where they are not known.
    asked: the input and who was asked, as messages begin.

    Raises:
        BadInput: there is no such class.
    """
    if text.strip() in class_names:
        return class_names.index(text.strip())
    names = [bare(name) for name in class_names]
    wanted = bare(text)
    if wanted in names:
        return names.index(wanted)
    number = whole_number(wanted)
    if number is not None and number < count:
        return number
    known = f"{_some_of(class_names, wanted)}, or a number" if names else "a number"
    raise BadInput(f"{asked} has no class {text.strip()[:SHOWN]!r}; give {known} from 0 to {count - 1}.")


def _some_of(names: Sequence[str], wanted: str) -> str:
    if len(names) <= MOST_NAMES:
        return f"one of {', '.join(names)}"
    return f"one of its {len(names)} names, of which the nearest are {', '.join(nearest(wanted, names))}"
