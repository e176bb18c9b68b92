"""Nodes of the menu Trilemma/Generate for guidance: critics, and generators that they guide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch

from .. import host
from ..models.errors import BadInput
from ..models.generators.given import Given
from ..models.generators.guidance.class_critic import ClassCritic as OfClasses
from ..models.generators.guidance.critic import Critic, with_weight
from ..models.generators.guidance.embedding_critic import (
    Embedder,
    EmbeddingCritic,
    ExtractorEmbedder,
    VisionEmbedder,
)
from ..models.generators.guidance.guided import guided
from ..models.generators.guidance.style_critic import StyleCritic as OfStyles
from ..models.pictures.images import rgb
from ..models.scoring.metrics.clip_score import check_projection
from .common import inputs, kinds, menus
from .common.showing import show_note

EXTRACTOR: Final = "From Load Feature Extractor"
JOINED: Final = {
    "weight": inputs.number(1.0, -1000.0, 1000.0, 0.1, "How much this critic counts; below 0 it is shunned."),
    "critic": inputs.link(kinds.CRITIC, "Another critic, to whose score this one's is added."),
}
"""Inputs of every critic."""


class _Critic:
    """Base of the nodes that make critics."""

    CATEGORY = menus.GENERATE
    RETURN_TYPES = (kinds.CRITIC,)
    RETURN_NAMES = ("critic",)
    OUTPUT_TOOLTIPS = ("For Guide Generator, or for another critic to be added to.",)
    FUNCTION = "run"


class TextCritic(_Critic):
    DISPLAY_NAME = "Text Critic"
    DESCRIPTION = (
        "Judges pictures by how near they are to a text in CLIP's space, for Guide Generator: VQGAN-CLIP, and its like "
        "for any generator."
    )
    SEARCH_ALIASES = ["clip guidance", "vqgan-clip", "text guidance", "clip guided diffusion", "prompt any gan"]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "clip": inputs.link("CLIP", "The text half of a CLIP, from Load CLIP; its files must hold all of it."),
                "clip_vision": inputs.link("CLIP_VISION", "The image half of the same CLIP, from Load CLIP Vision."),
                "text": inputs.multiline(
                    "", "What shall be seen, one text to a line; image i takes line i, and the first again at the end."
                ),
            },
            "optional": {
                "cutouts": inputs.integer(
                    16, 0, 256, "Random squares of each image that are judged in each step; 0 judges the whole image."
                ),
                **JOINED,
            },
            "hidden": {"graph": "DYNPROMPT", "node_id": "UNIQUE_ID"},
        }

    def run(
        self,
        clip: Any,
        clip_vision: Any,
        text: str,
        cutouts: int = 16,
        weight: float = 1.0,
        critic: host.Handle | None = None,
        graph: Any = None,
        node_id: str | None = None,
    ) -> tuple[host.Handle]:
        texts = _lines(text, "text")
        tower = host.text_tower(clip, graph, node_id)
        check_projection(tower.projection, "clip", tower.files, tower.in_files)
        embedder = _embedder(clip_vision)
        embedded = {line: tower.embed(line) for line in dict.fromkeys(texts)}
        targets = torch.cat([embedded[line] for line in texts])
        return _held(EmbeddingCritic("text", embedder, targets, texts, cutouts, tower.identity), weight, critic)


class ImageCritic(_Critic):
    DISPLAY_NAME = "Image Critic"
    DESCRIPTION = (
        "Judges pictures by how near they are in content to another picture, as a network sees it, for Guide Generator."
    )
    SEARCH_ALIASES = ["semantic guidance", "image guidance", "similar image", "semantic diffusion guidance", "content"]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "images": inputs.link(
                    "IMAGE", "What shall be seen; sample i takes image i, and the first again at the end."
                ),
            },
            "optional": {
                "extractor": inputs.link(kinds.EXTRACTOR, f"Sees what they are of. {EXTRACTOR}; or give clip_vision."),
                "clip_vision": inputs.link("CLIP_VISION", "Sees what they are of, in place of an extractor."),
                "cutouts": inputs.integer(
                    0, 0, 256, "Random squares of each sample that are judged in each step; 0 judges the whole sample."
                ),
                **JOINED,
            },
        }

    def run(
        self,
        images: torch.Tensor,
        extractor: host.Handle | None = None,
        clip_vision: Any = None,
        cutouts: int = 0,
        weight: float = 1.0,
        critic: host.Handle | None = None,
    ) -> tuple[host.Handle]:
        if (extractor is None) == (clip_vision is None):
            raise BadInput("extractor, clip_vision: one of them sees what the images are of; connect one.")
        embedder = _embedder(clip_vision) if extractor is None else ExtractorEmbedder(extractor.model)
        held = host.hold(embedder, embedder.modules) if extractor is None else extractor
        pictures, asked = _pictures(images)
        with host.placed(held, memory=embedder.memory_bytes()) as device, host.progress(len(pictures)) as on_step:
            rows = []
            with host.without_inference_mode(), torch.no_grad():
                for picture in pictures:
                    rows.append(embedder.vectors(picture[None].to(device)).cpu())
                    on_step(len(rows))
        made = EmbeddingCritic("image", embedder, torch.cat(rows), asked, cutouts)
        return _held(made, weight, critic, held)


class ClassCritic(_Critic):
    DISPLAY_NAME = "Class Critic"
    DESCRIPTION = (
        "Judges pictures by how sure a classifier is of a class, for Guide Generator: classes for models that know "
        "none."
    )
    SEARCH_ALIASES = ["classifier guidance", "class guidance", "log p", "plug and play", "conditional sampling"]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "extractor": inputs.link(
                    kinds.EXTRACTOR, f"{EXTRACTOR}: the starter classifier, Inception, VGG-16 or EfficientNet-lite."
                ),
                "classes": inputs.multiline(
                    "cat",
                    "One class (its name, or its number from 0) to a line; sample i takes line i, in turn. A line * "
                    "stands for every class, in order.",
                ),
            },
            "optional": JOINED,
        }

    def run(
        self, extractor: host.Handle, classes: str, weight: float = 1.0, critic: host.Handle | None = None
    ) -> tuple[host.Handle]:
        return _held(OfClasses(extractor.model, _lines(classes, "classes")), weight, critic, extractor)


class StyleCritic(_Critic):
    DISPLAY_NAME = "Style Critic"
    DESCRIPTION = (
        "Judges pictures by how near their colours and textures are to another picture's, whatever they show, for "
        "Guide Generator: by Gram matrices, as neural style transfer does."
    )
    SEARCH_ALIASES = ["style transfer", "gram matrix", "neural style", "style guidance", "texture"]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "images": inputs.link("IMAGE", "The style; sample i takes image i, and the first again at the end."),
                "extractor": inputs.link(kinds.EXTRACTOR, f"{EXTRACTOR}: VGG-16, or the starter classifier."),
            },
            "optional": JOINED,
        }

    def run(
        self,
        images: torch.Tensor,
        extractor: host.Handle,
        weight: float = 1.0,
        critic: host.Handle | None = None,
    ) -> tuple[host.Handle]:
        pictures, asked = _pictures(images)
        with host.placed(extractor, memory=extractor.model.memory_bytes(1)) as device:
            made = OfStyles(extractor.model, pictures.to(device), f"pictures {', '.join(asked)}")
        return _held(made, weight, critic, extractor)


class GuideGenerator:
    DISPLAY_NAME = "Guide Generator"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Makes a generator draw what a critic scores higher, by the critic's gradient: GANs, VAEs and VQGANs by moving "
        "each sample's latent, diffusion models in every step. Nothing is trained."
    )
    SEARCH_ALIASES = [
        "classifier guidance",
        "clip guidance",
        "vqgan-clip",
        "guided diffusion",
        "semantic guidance",
        "plug and play",
        "latent optimization",
    ]
    RETURN_TYPES = (kinds.GENERATOR,)
    RETURN_NAMES = ("generator",)
    OUTPUT_TOOLTIPS = ("The same model, guided: for Sample Images, Benchmark Generator and Sweep (critic_strength).",)
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(
                    kinds.GENERATOR, "Any that the pack has loaded, with its options and conditions."
                ),
                "critic": inputs.link(kinds.CRITIC, "From a critic node; several are joined by their own inputs."),
                "strength": inputs.number(
                    1.0, 0.0, 10_000.0, 0.1, "How much the critic's score counts; with 0 the model draws as it is."
                ),
            },
            "optional": {
                "steps": inputs.integer(
                    100, 1, 10_000, "Of Adam on the latent of each sample; diffusion models take their own steps."
                ),
                "step_size": inputs.number(
                    0.1, 0.0001, 10.0, 0.01, "Of Adam, relative to the spread of the latent; not of diffusion models."
                ),
                "total_variation": inputs.number(
                    0.0, 0.0, 100_000.0, 1.0, "Weight of the mean squared difference of neighbouring pixels: smooths."
                ),
            },
        }

    def run(
        self,
        generator: host.Handle,
        critic: host.Handle,
        strength: float,
        steps: int = 100,
        step_size: float = 0.1,
        total_variation: float = 0.0,
    ) -> dict[str, Any] | tuple[host.Handle]:
        bound = generator.model
        made = guided(bound.generator, critic.model, float(strength), steps, float(step_size), float(total_variation))
        patchers = (*generator.patchers, *critic.patchers)
        note = "\n".join((made.descriptor.architecture, *critic.model.notes))
        return show_note(note, host.Handle(bound._replace(generator=made), patchers))


def _lines(text: str, name: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise BadInput(f"{name}: it is empty; write what shall be seen, one to a line.")
    return lines


def _pictures(images: torch.Tensor) -> tuple[torch.Tensor, list[str]]:
    """[T, 3, H, W], 0..1, and what tells them from others."""
    pictures = rgb(images, "images").clamp(0, 1)
    # Inference tensors take part in no derivative.
    with host.without_inference_mode():
        pictures = pictures.clone().movedim(-1, 1).contiguous()
    return pictures, [Given(picture).digest for picture in pictures]


def _embedder(clip_vision: Any) -> Embedder:
    encoder = host.vision_encoder(clip_vision)
    if encoder.projection is not None:
        check_projection(encoder.projection, "clip_vision", (), False)
    sizes = (encoder.side, host.vision_network(clip_vision), encoder.memory_bytes)
    return VisionEmbedder(encoder.name, encoder.identity, *sizes, encoder.mean, encoder.std)


def _held(
    made: Critic, weight: float, before: host.Handle | None, network: host.Handle | None = None
) -> tuple[host.Handle]:
    """A critic on the wire. network: whose networks it uses, where the host holds them already."""
    held = host.hold(made, made.modules) if network is None else network
    patchers: Sequence[Any] = held.patchers if before is None else (*before.patchers, *held.patchers)
    whole = with_weight(made, weight, None if before is None else before.model)
    return (host.Handle(whole, tuple(dict.fromkeys(patchers))),)


NODES = {
    "TrilemmaTextCritic": TextCritic,
    "TrilemmaImageCritic": ImageCritic,
    "TrilemmaClassCritic": ClassCritic,
    "TrilemmaStyleCritic": StyleCritic,
    "TrilemmaGuideGenerator": GuideGenerator,
}
