"""GANs that draw from z and a sentence: of words, which an encoder reads, or of embeddings that a file holds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from ....closed_vocabulary import nearest
from ....errors import BadInput, CannotDo
from ....steps import OnStep, quiet
from ... import noise
from ...base import (
    Condition,
    ConditionKind,
    Descriptor,
    Generator,
    Latents,
    Look,
    Map,
    SampleRequest,
    as_images,
    class_number,
)
from ...interpolation import spherical
from .drawing import Drawn, TextNetwork
from .text_encoder import TextEncoder
from .words import Dictionary, Reading

TRUNCATION: Final = "truncation_psi"
WORDS: Final = 16
"""Of a sentence, as memory is foreseen."""
SENTENCE: Final = "the sentence"


class Given(NamedTuple):
    """What a batch is drawn from besides z; see `TextNetwork.forward`. padding: bool [N, L], true behind the last
    word. labels: what the maps of each sample are of, where they are of words. titles: what each sample shows."""

    sentence: Tensor
    noise: Tensor
    words: Tensor
    padding: Tensor
    labels: tuple[tuple[str, ...], ...]
    titles: tuple[str, ...]


class TextToImageGAN(Generator):
    """Latents "z", [N, z_dim], a Gaussian; what else is drawn, and the sentence, is the request's.

    truncates: whether z is cut at two standard deviations where the truncation is not 1, as DF-GAN's script does it.
    """

    network: TextNetwork

    def __init__(
        self,
        architecture: str,
        network: TextNetwork,
        others: Sequence[nn.Module],
        identity: str,
        conditions: tuple[ConditionKind, ...],
        class_names: tuple[str, ...] = (),
        num_classes: int = 0,
        truncates: bool = False,
    ) -> None:
        self.network = network
        self.modules = (network, *others)
        self.identity = identity
        side = network.sides[-1]
        self.descriptor = Descriptor(
            family="gan",
            architecture=architecture,
            height=side,
            width=side,
            channels=3,
            parameters=sum(parameter.numel() for module in self.modules for parameter in module.parameters()),
            conditions=conditions,
            class_names=class_names,
            num_classes=num_classes,
            latent_shape=(network.z_dim,),
            options={TRUNCATION: 1.0} if truncates else {},
            abilities=("sample", "decode", "interpolate", "factorise", "project", "show stages"),
        )

    @abstractmethod
    def _choice(self, generators: Sequence[torch.Generator]) -> list[int]:
        """What each generator draws before z: which sentence it is, where the request has none."""

    @abstractmethod
    def _given(
        self, requests: Sequence[SampleRequest], chosen: Sequence[int], generators: Sequence[torch.Generator]
    ) -> Given:
        """What the requests ask for, or else what was `chosen`; the generators have drawn that, and z."""

    def memory_bytes(self, batch_size: int) -> int:
        side = self.network.sides[-1]
        # The maps of words stay until the end.
        maps = WORDS * (side // 2) ** 2 if self.network.attends else 0
        return 4 * batch_size * max(self.network.floats + maps, 9 * side**2)

    def draw(self, requests: Sequence[SampleRequest], options: Mapping[str, Any], on_step: OnStep) -> Tensor:
        images = self.decode(self.latents(requests, options), requests, options)
        on_step(1, images[0])
        return images

    def latents(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Latents:
        return Latents(self._begun(noise.generators(requests), options)[0], "z", self.identity)

    def decode(
        self,
        latents: Latents,
        requests: Sequence[SampleRequest],
        options: Mapping[str, Any],
        on_step: OnStep = quiet,
    ) -> Tensor:
        if latents.identity != self.identity:
            raise BadInput("latents: they belong to other weights; encode or draw them with this generator.")
        return as_images(self.render(latents, (), requests, options))

    def readers(self) -> list[Tensor]:
        return [self.network.z_weights()]

    def render(
        self, latents: Latents, noise: Sequence[Tensor], requests: Sequence[SampleRequest], options: Mapping[str, Any]
    ) -> Tensor:
        return (self._drawn(latents.values, self._asked(requests, options)).pictures[-1] + 1) / 2

    def looks(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> list[Look]:
        generators = noise.generators(requests)
        z, chosen = self._begun(generators, options)
        given = self._given(requests, chosen, generators)
        drawn = self._drawn(z, given)
        pictures = [as_images((each + 1) / 2) for each in drawn.pictures]
        return [
            Look(given.titles[row], tuple(each[row] for each in pictures), self._maps(drawn, given, row))
            for row in range(len(requests))
        ]

    def mean_latent(self) -> Latents:
        return Latents(torch.zeros(1, *self.descriptor.latent_shape), "z", self.identity)

    def interpolate(self, start: Latents, end: Latents, shares: Sequence[float]) -> Latents:
        return start._replace(values=spherical(start.values, end.values, shares))

    def _maps(self, drawn: Drawn, given: Given, row: int) -> tuple[Map, ...]:
        labels = given.labels[row] if self.network.attends else (SENTENCE,)
        return tuple(
            Map(f"{label}, {maps.shape[-1]} px", values.cpu())
            for maps in drawn.maps
            for label, values in zip(labels, maps[row], strict=False)
        )

    def _asked(self, requests: Sequence[SampleRequest], options: Mapping[str, Any]) -> Given:
        """What the requests ask for besides z."""
        generators = noise.generators(requests)
        _, chosen = self._begun(generators, options)
        return self._given(requests, chosen, generators)

    def _begun(self, generators: Sequence[torch.Generator], options: Mapping[str, Any]) -> tuple[Tensor, list[int]]:
        """z, and the sentences that stand for missing ones."""
        chosen = self._choice(generators)
        psi = options.get(TRUNCATION, 1.0)
        drawing = noise.normal if psi == 1 else noise.truncated_normal
        return psi * drawing(generators, self.descriptor.latent_shape), chosen

    def _drawn(self, z: Tensor, given: Given) -> Drawn:
        device = next(self.network.parameters()).device
        sentence, noises, words, padding = (each.to(device) for each in given[:4])
        return self.network(z.to(device), sentence, noises, words, [padding[:, None]] * self.network.attends)


class PromptGAN(TextToImageGAN):
    """Reads sentences by an encoder and its dictionary. Where there is none, a sample shows one of the dictionary's
    captions."""

    def __init__(
        self,
        architecture: str,
        network: TextNetwork,
        encoder: TextEncoder,
        dictionary: Dictionary,
        identity: str,
        truncates: bool = False,
    ) -> None:
        conditions: tuple[ConditionKind, ...] = ("none", "prompt") if dictionary.captions else ("prompt",)
        super().__init__(architecture, network, (encoder,), identity, conditions, truncates=truncates)
        self.encoder, self.dictionary = encoder, dictionary
        self._nearest: dict[str, str] = {}

    def check_condition(self, condition: Condition) -> None:
        if condition.negative:
            raise CannotDo(f"negative_prompt: {self.descriptor.architecture} takes none; leave it empty.")
        if condition.text:
            self._read(condition)

    def remark(self, condition: Condition) -> str:
        unknown = self._read(condition).unknown if condition.text else ()
        return " ".join(f"{word!r} is not known, {self._instead(word)}." for word in unknown)

    def _instead(self, word: str) -> str:
        # A record of each picture asks for it.
        if word not in self._nearest:
            self._nearest[word] = f"nearest are {', '.join(nearest(word, self.dictionary.words))}"
        return self._nearest[word]

    def _read(self, condition: Condition) -> Reading:
        reading = self.dictionary.read(condition.text)
        if not reading.numbers:
            first = next(iter(reading.unknown), "")
            hint = f"; {first!r} is not known, {self._instead(first)}" if first else ""
            raise BadInput(
                f"condition: {self.descriptor.architecture} knows no word of {condition.text!r}{hint}. It knows "
                f"{len(self.dictionary.words)} words of English captions of its data set; write some of those."
            )
        return reading

    def _choice(self, generators: Sequence[torch.Generator]) -> list[int]:
        count = max(1, self.dictionary.captions)
        return [int(torch.randint(count, (1,), generator=generator)) for generator in generators]

    def _given(
        self, requests: Sequence[SampleRequest], chosen: Sequence[int], generators: Sequence[torch.Generator]
    ) -> Given:
        readings = [self._reading(request.condition, index) for request, index in zip(requests, chosen, strict=True)]
        lengths = torch.tensor([len(each.numbers) for each in readings])
        captions = torch.zeros(len(readings), int(lengths.max()), dtype=torch.int64)
        for row, each in zip(captions, readings, strict=True):
            row[: len(each.numbers)] = torch.tensor(each.numbers)
        words, sentence = self.encoder(captions.to(self.encoder.encoder.weight.device), lengths)
        padding = torch.arange(captions.shape[1]) >= lengths[:, None]
        labels = tuple(each.words for each in readings)
        noises = noise.normal(generators, (self.network.noise_dim,))
        return Given(sentence, noises, words, padding, labels, tuple(map(" ".join, labels)))

    def _reading(self, condition: Condition, index: int) -> Reading:
        if condition.text:
            return self._read(condition)
        if not self.dictionary.captions:
            raise BadInput(
                f"condition: {self.descriptor.architecture} draws what a sentence says, and has no captions to choose "
                "from; connect a Condition."
            )
        return self.dictionary.caption(index)


class EmbeddingGAN(TextToImageGAN):
    """Draws from embeddings of sentences that a file holds, for each of many pictures several; each picture is a class.
    Which of its sentences is read, the sample's generator says. A network without sentences has no classes."""

    def __init__(
        self,
        architecture: str,
        network: TextNetwork,
        embeddings: Sequence[Tensor],
        names: tuple[str, ...],
        identity: str,
    ) -> None:
        """embeddings: of each picture, [sentences, text_dim]. names: of the pictures, or none."""
        conditions: tuple[ConditionKind, ...] = ("none", "class") if embeddings else ("none",)
        super().__init__(architecture, network, (), identity, conditions, names, len(embeddings))
        self.embeddings = embeddings

    def _choice(self, generators: Sequence[torch.Generator]) -> list[int]:
        if not self.embeddings:
            return [0] * len(generators)
        return [int(torch.randint(len(self.embeddings), (1,), generator=generator)) for generator in generators]

    def _given(
        self, requests: Sequence[SampleRequest], chosen: Sequence[int], generators: Sequence[torch.Generator]
    ) -> Given:
        pictures = [
            class_number(self.descriptor, request.condition.text) if request.condition.text else index
            for request, index in zip(requests, chosen, strict=True)
        ]
        noises = noise.normal(generators, (self.network.noise_dim,))
        empty = torch.empty(len(requests), 0)
        if not self.embeddings:
            return Given(empty, noises, empty, empty, ((),) * len(requests), ("",) * len(requests))
        sentences, titles = [], []
        for picture, generator in zip(pictures, generators, strict=True):
            choices = self.embeddings[picture]
            place = int(torch.randint(len(choices), (1,), generator=generator))
            sentences.append(choices[place].float())
            name = self.descriptor.class_names[picture] if self.descriptor.class_names else f"picture {picture}"
            titles.append(f"{name}, sentence {place}")
        return Given(torch.stack(sentences), noises, empty, empty, ((),) * len(requests), tuple(titles))
