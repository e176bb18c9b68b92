"""Nodes of the menu Trilemma/Adapt: LoRAs and ControlNets on Stable Diffusion models that draw or repaint."""

from __future__ import annotations

from typing import Any, Final

import torch

from .. import host
from ..models.diffusion.adapters import control, lora, lora_file
from ..models.diffusion.adapters.controlnet import CONTROLNETS
from ..models.diffusion.adapters.lora import Weighted
from ..models.errors import BadInput
from ..models.files.paths import fingerprint
from ..models.generators.diffusion.latent_diffusion import TextToImage
from ..models.inpainting.stable_diffusion import StableDiffusionInpainter
from .common import inputs, kinds, menus
from .common.adapting import regrouped
from .common.loading import WEIGHT_FILES, ModelLoader, Source

LORAS: Final = Source("loras", WEIGHT_FILES)
Loras = tuple[Weighted, ...]
"""What travels on TRILEMMA_LORAS: LoRAs with their strengths, in the order of their nodes."""


class LoadLoRA:
    DISPLAY_NAME = "Load LoRA"
    CATEGORY = menus.ADAPT
    DESCRIPTION = (
        "Loads a LoRA for Stable Diffusion 1.x, 2.x or XL, by kohya's, LyCORIS', diffusers' or PEFT's names: LoRA, "
        "LoCon, LoHa, LoKr, DoRA. Several in a row are laid over a model together."
    )
    SEARCH_ALIASES = ["lora", "lycoris", "locon", "loha", "lokr", "style"]
    RETURN_TYPES = (kinds.LORAS,)
    RETURN_NAMES = ("loras",)
    OUTPUT_TOOLTIPS = ("For Apply LoRA to Inpainter or Generator, or for a further Load LoRA.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"lora": inputs.choice(LORAS.names(), "A file of models/loras.")},
            "optional": {
                "strength": inputs.number(
                    1.0, -10.0, 10.0, 0.05, "1 as it was trained, 0 nothing, less than 0 the opposite.", rounded=0.001
                ),
                "loras": inputs.link(kinds.LORAS, "From another Load LoRA: both are laid over the model."),
            },
        }

    @classmethod
    def IS_CHANGED(cls, lora: str, **settings: Any) -> str:
        return fingerprint(host.model_path(LORAS.key, lora))

    @classmethod
    def VALIDATE_INPUTS(cls, lora: str) -> bool | str:
        try:
            host.model_path(LORAS.key, lora)
        except FileNotFoundError as error:
            return str(error)
        return True

    def run(self, lora: str, strength: float = 1.0, loras: Loras | None = None) -> tuple[Loras]:
        read = lora_file.read(host.model_path(LORAS.key, lora))
        return ((*(loras or ()), Weighted(read, strength)),)


class ApplyLoRAToInpainter:
    DISPLAY_NAME = "Apply LoRA to Inpainter"
    CATEGORY = menus.ADAPT
    DESCRIPTION = (
        "Lays LoRAs over an inpainter: a copy of the networks that they change, so that the inpainter itself stays as "
        "it is. A LoRA of another family is refused."
    )
    SEARCH_ALIASES = ["lora", "load lora", "apply lora"]
    RETURN_TYPES = (kinds.INPAINTER,)
    RETURN_NAMES = ("inpainter",)
    OUTPUT_TOOLTIPS = ("For Inpaint by Text, Image to Image and Crop Objects.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "inpainter": inputs.link(kinds.INPAINTER, "A Stable Diffusion model from Load Inpainter."),
                "loras": inputs.link(kinds.LORAS, "From Load LoRA."),
            }
        }

    def run(self, inpainter: host.Handle, loras: Loras) -> tuple[host.Handle]:
        model = of_inpainter(inpainter)
        adapted = _with_loras(model, loras)
        return (regrouped(adapted, adapted.modules, (model.modules, inpainter)),)


class ApplyLoRAToGenerator:
    DISPLAY_NAME = "Apply LoRA to Generator"
    CATEGORY = menus.ADAPT
    DESCRIPTION = (
        "Lays LoRAs over a generator that draws by Stable Diffusion: a copy of the networks that they change. A LoRA "
        "of another family is refused."
    )
    SEARCH_ALIASES = ["lora", "load lora", "apply lora"]
    RETURN_TYPES = (kinds.GENERATOR,)
    RETURN_NAMES = ("generator",)
    OUTPUT_TOOLTIPS = ("For Sample Images, the option nodes, Image to Image and whatever else takes a generator.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "A Stable Diffusion model from Load Generator."),
                "loras": inputs.link(kinds.LORAS, "From Load LoRA."),
            }
        }

    def run(self, generator: host.Handle, loras: Loras) -> tuple[host.Handle]:
        model = of_generator(generator)
        adapted = _with_loras(model, loras)
        bound = generator.model._replace(generator=adapted)
        return (regrouped(bound, adapted.modules, (model.modules, generator)),)


class LoadControlNet(ModelLoader):
    REGISTRY = CONTROLNETS
    KIND = "controlnet"
    SOURCES = (Source("controlnet", WEIGHT_FILES, folders=True),)
    DISPLAY_NAME = "Load ControlNet"
    CATEGORY = menus.ADAPT
    DESCRIPTION = (
        "Loads a ControlNet for Stable Diffusion 1.x, 2.x or XL: a file of the original code, or a file or folder of "
        "diffusers, from models/controlnet."
    )
    SEARCH_ALIASES = ["controlnet", "control net", "canny", "depth", "openpose", "inpaint controlnet"]
    RETURN_TYPES = (kinds.CONTROLNET,)
    RETURN_NAMES = ("controlnet",)
    OUTPUT_TOOLTIPS = ("For Apply ControlNet to Inpainter or Generator.",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        names = [name for source in cls.SOURCES for name in source.names()]
        return {"required": {"model": inputs.choice(names, "A file or a folder of models/controlnet.")}}


def _control_inputs() -> dict[str, Any]:
    return {
        "strength": inputs.number(1.0, 0.0, 10.0, 0.05, "How strongly the hints count.", rounded=0.001),
        "start": inputs.share(0.0, "Share of the steps that are done before the hints begin to count."),
        "end": inputs.share(1.0, "Share of the steps after which they no longer count."),
        "mask": inputs.link(
            "MASK", "For ControlNets that inpaint: what is to be made anew, one mask per hint or one for all."
        ),
    }


class ApplyControlNetToInpainter:
    DISPLAY_NAME = "Apply ControlNet to Inpainter"
    CATEGORY = menus.ADAPT
    DESCRIPTION = (
        "Steers an inpainter by hints: edges, depths, or the picture around the hole. Image i of a batch takes hint i, "
        "and the first again after the last; hints are stretched to its size. A ControlNet of another family is "
        "refused."
    )
    SEARCH_ALIASES = ["controlnet", "control net apply", "canny", "depth"]
    RETURN_TYPES = (kinds.INPAINTER,)
    RETURN_NAMES = ("inpainter",)
    OUTPUT_TOOLTIPS = ("For Inpaint by Text, Image to Image, or for a further ControlNet.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "inpainter": inputs.link(kinds.INPAINTER, "A Stable Diffusion model from Load Inpainter."),
                "controlnet": inputs.link(kinds.CONTROLNET, "From Load ControlNet."),
                "hint": inputs.link("IMAGE", "What the ControlNet was trained on, such as edges from Canny."),
            },
            "optional": _control_inputs(),
        }

    def run(
        self,
        inpainter: host.Handle,
        controlnet: host.Handle,
        hint: torch.Tensor,
        strength: float = 1.0,
        start: float = 0.0,
        end: float = 1.0,
        mask: torch.Tensor | None = None,
    ) -> tuple[host.Handle]:
        model = of_inpainter(inpainter)
        steered = _with_control(model, control.control(controlnet.model, hint, strength, start, end, mask))
        held = (model.modules, inpainter), (controlnet.model.modules, controlnet)
        return (regrouped(steered, steered.modules, *held),)


class ApplyControlNetToGenerator:
    DISPLAY_NAME = "Apply ControlNet to Generator"
    CATEGORY = menus.ADAPT
    DESCRIPTION = (
        "Steers a generator that draws by Stable Diffusion by hints, such as edges or depths. Sample i takes hint i, "
        "and the first again after the last; hints are stretched to its size. A ControlNet of another family is "
        "refused."
    )
    SEARCH_ALIASES = ["controlnet", "control net apply", "canny", "depth"]
    RETURN_TYPES = (kinds.GENERATOR,)
    RETURN_NAMES = ("generator",)
    OUTPUT_TOOLTIPS = ("For Sample Images, Image to Image, or for a further ControlNet.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "A Stable Diffusion model from Load Generator."),
                "controlnet": inputs.link(kinds.CONTROLNET, "From Load ControlNet."),
                "hint": inputs.link("IMAGE", "What the ControlNet was trained on, such as edges from Canny."),
            },
            "optional": _control_inputs(),
        }

    def run(
        self,
        generator: host.Handle,
        controlnet: host.Handle,
        hint: torch.Tensor,
        strength: float = 1.0,
        start: float = 0.0,
        end: float = 1.0,
        mask: torch.Tensor | None = None,
    ) -> tuple[host.Handle]:
        model = of_generator(generator)
        steered = _with_control(model, control.control(controlnet.model, hint, strength, start, end, mask))
        held = (model.modules, generator), (controlnet.model.modules, controlnet)
        return (regrouped(generator.model._replace(generator=steered), steered.modules, *held),)


def of_inpainter(inpainter: host.Handle) -> StableDiffusionInpainter:
    """The Stable Diffusion model of an inpainter."""
    if isinstance(inpainter.model, StableDiffusionInpainter):
        return inpainter.model
    raise BadInput(
        f"inpainter: {inpainter.model.architecture} is no Stable Diffusion model, which this is for; load one of those."
    )


def of_generator(generator: host.Handle) -> TextToImage:
    """The Stable Diffusion model of a generator."""
    found = generator.model.generator
    if isinstance(found, TextToImage):
        return found
    raise BadInput(
        f"generator: {found.descriptor.architecture} is no Stable Diffusion model from Load Generator, which this is "
        "for; to a MODEL of ComfyUI lay LoRAs and ControlNets by its own nodes, before Generator from Checkpoint."
    )


def _with_loras(model: Any, loras: Loras) -> Any:
    architecture = getattr(model, "architecture", "") or model.descriptor.architecture
    with host.without_inference_mode():
        networks = lora.apply(model.networks, loras, architecture)
    files = [each.path for each, _ in loras if each.path is not None]
    return model.with_networks(networks, files, [f"LoRA {each.name} at {strength:g}" for each, strength in loras])


def _with_control(model: Any, steering: control.Control) -> Any:
    architecture = getattr(model, "architecture", "") or model.descriptor.architecture
    control.check(steering.net, model.networks.unet, architecture)
    networks = model.networks._replace(controls=(*model.networks.controls, steering))
    note = f"ControlNet {steering.net.files[0].name if steering.net.files else ''} at {steering.strength:g}"
    return model.with_networks(networks, steering.net.files, [note])


NODES = {
    "TrilemmaLoadLoRA": LoadLoRA,
    "TrilemmaApplyLoRAToInpainter": ApplyLoRAToInpainter,
    "TrilemmaApplyLoRAToGenerator": ApplyLoRAToGenerator,
    "TrilemmaLoadControlNet": LoadControlNet,
    "TrilemmaApplyControlNetToInpainter": ApplyControlNetToInpainter,
    "TrilemmaApplyControlNetToGenerator": ApplyControlNetToGenerator,
}
