"""The node of the menu Trilemma/Generate that steers a diffusion model by a classifier."""

from __future__ import annotations

from typing import Any

from .. import host
from ..models.errors import CannotDo
from ..models.generators.diffusion.base import DiffusionGenerator
from ..models.generators.diffusion.classifiers import CLASSIFIERS
from .common import inputs, kinds, menus
from .common.adapting import regrouped
from .common.loading import WEIGHT_FILES, ModelLoader, Source


class _Classifiers(ModelLoader):
    """The list of classifiers, and the files behind it."""

    REGISTRY = CLASSIFIERS
    KIND = "classifier"
    SOURCES = (Source("generators", WEIGHT_FILES), Source("metrics", WEIGHT_FILES))


class ClassifierGuidance:
    DISPLAY_NAME = "Classifier Guidance"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Steers a diffusion model that draws pixels towards its classes by a classifier: guided diffusion's of noisy "
        "pictures. More scale gives surer pictures, more alike. For classifiers of clean pictures there are Class "
        "Critic and Guide Generator."
    )
    SEARCH_ALIASES = ["guided diffusion", "adm-g", "classifier scale", "noisy classifier"]
    RETURN_TYPES = (kinds.GENERATOR,)
    RETURN_NAMES = ("generator",)
    OUTPUT_TOOLTIPS = ("The same model, steered; Condition says towards what.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        names, _ = _Classifiers.INPUT_TYPES()["required"]["model"]
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "A DDPM or guided diffusion from Load Generator."),
                "model": inputs.choice(
                    names, "A classifier of the generator's classes, for noisy pictures of its size."
                ),
                "scale": inputs.number(
                    1.0, 0.0, 100.0, 0.1, "How strongly it steers: 0 not at all; as published 0.5 to 10.", rounded=0.01
                ),
            },
        }

    @classmethod
    def IS_CHANGED(cls, model: str, **settings: Any) -> str:
        return _Classifiers.IS_CHANGED(model)

    @classmethod
    def VALIDATE_INPUTS(cls, model: str | None = None) -> bool | str:
        return _Classifiers.VALIDATE_INPUTS(model)

    def run(self, generator: host.Handle, model: str, scale: float) -> tuple[host.Handle]:
        bound = generator.model
        plain = bound.generator
        if not isinstance(plain, DiffusionGenerator):
            raise CannotDo(
                f"generator: {plain.descriptor.architecture} is no diffusion model whose steps could be steered; load "
                "a DDPM or a guided diffusion model."
            )
        with host.without_inference_mode():
            guide = CLASSIFIERS.load(_Classifiers.path(model), host.compute_dtype)
        steered = plain.with_guide(guide, scale)
        made = bound._replace(generator=steered)
        return (regrouped(made, steered.modules, (plain.modules, generator)),)


NODES = {"TrilemmaClassifierGuidance": ClassifierGuidance}
