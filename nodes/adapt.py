"""Nodes of the menu Trilemma/Adapt: LoRAs and ControlNets on Stable Diffusion models that draw or repaint."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.diffusion.adapters import control, lora, lora_file
from ..models.diffusion.adapters.controlnet import CONTROLNETS
from ..models.diffusion.adapters.lora import Weighted
from ..models.files.paths import fingerprint
from .common import inputs, kinds, menus
from .common import loras as loras_common
from .common.adapting import GENERATOR, INPAINTER, Adapted, architecture
from .common.loading import WEIGHT_FILES, ModelLoader, Source

Loras = tuple[Weighted, ...]
"""What travels on TRILEMMA_LORAS: LoRAs with their strengths, in the order of their nodes."""


class LoadLoRA:
    DISPLAY_NAME = "Load LoRA (for Inpainter or Generator)"
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
            "required": {"lora": loras_common.names()},
            "optional": {
                "strength": loras_common.strength(),
                "loras": inputs.link(kinds.LORAS, "From another Load LoRA: both are laid over the model."),
            },
        }

    @classmethod
    def IS_CHANGED(cls, lora: str, **settings: Any) -> str:
        return fingerprint(loras_common.path(lora))

    @classmethod
    def VALIDATE_INPUTS(cls, lora: str | None = None) -> bool | str:
        return loras_common.found(lora)

    def run(self, lora: str, strength: float = 1.0, loras: Loras | None = None) -> tuple[Loras]:
        read = lora_file.read(loras_common.path(lora))
        return ((*(loras or ()), Weighted(read, strength)),)


class ApplyLoRA:
    """Base of the nodes that lay LoRAs over a model."""

    TO: Adapted
    CATEGORY = menus.ADAPT
    SEARCH_ALIASES = ["lora", "load lora", "apply lora"]
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {**cls.TO.input(), "loras": inputs.link(kinds.LORAS, "From Load LoRA.")}}

    def adapted(self, handle: host.Handle, loras: Loras) -> tuple[host.Handle]:
        model = self.TO.model(handle)
        with host.without_inference_mode():
            networks = lora.apply(model.networks, loras, architecture(model))
        files = [each.path for each, _ in loras if each.path is not None]
        notes = [f"LoRA {each.name} at {strength:g}" for each, strength in loras]
        return self.TO.handle(handle, model.with_networks(networks, files, notes))


class ApplyLoRAToInpainter(ApplyLoRA):
    TO = INPAINTER
    DISPLAY_NAME = "Apply LoRA to Inpainter"
    DESCRIPTION = (
        "Lays LoRAs over an inpainter: a copy of the networks that they change, so that the inpainter itself stays as "
        "it is. A LoRA of another family is refused."
    )
    RETURN_TYPES = (kinds.INPAINTER,)
    RETURN_NAMES = ("inpainter",)
    OUTPUT_TOOLTIPS = ("For Inpaint by Text, Image to Image and Crop Objects.",)

    def run(self, inpainter: host.Handle, loras: Loras) -> tuple[host.Handle]:
        return self.adapted(inpainter, loras)


class ApplyLoRAToGenerator(ApplyLoRA):
    TO = GENERATOR
    DISPLAY_NAME = "Apply LoRA to Generator"
    DESCRIPTION = (
        "Lays LoRAs over a generator that draws by Stable Diffusion: a copy of the networks that they change. A LoRA "
        "of another family is refused."
    )
    RETURN_TYPES = (kinds.GENERATOR,)
    RETURN_NAMES = ("generator",)
    OUTPUT_TOOLTIPS = ("For Sample Images, the option nodes, Image to Image and whatever else takes a generator.",)

    def run(self, generator: host.Handle, loras: Loras) -> tuple[host.Handle]:
        return self.adapted(generator, loras)


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


class ApplyControlNet:
    """Base of the nodes that let a ControlNet steer a model."""

    TO: Adapted
    CATEGORY = menus.ADAPT
    SEARCH_ALIASES = ["controlnet", "control net apply", "canny", "depth"]
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                **cls.TO.input(),
                "controlnet": inputs.link(kinds.CONTROLNET, "From Load ControlNet."),
                "hint": inputs.link("IMAGE", "What the ControlNet was trained on, such as edges from Canny."),
            },
            "optional": {
                "strength": inputs.number(1.0, 0.0, 10.0, 0.05, "How strongly the hints count.", rounded=0.001),
                "start": inputs.share(0.0, "Share of the steps that are done before the hints begin to count."),
                "end": inputs.share(1.0, "Share of the steps after which they no longer count."),
                "mask": inputs.link(
                    "MASK", "For ControlNets that inpaint: what is to be made anew, one mask per hint or one for all."
                ),
            },
        }

    def steered(self, handle: host.Handle, controlnet: host.Handle, steering: control.Control) -> tuple[host.Handle]:
        model, net = self.TO.model(handle), steering.net
        control.check(net, model.networks.unet, architecture(model))
        networks = model.networks._replace(controls=(*model.networks.controls, steering))
        note = f"ControlNet {net.files[0].name if net.files else ''} at {steering.strength:g}"
        return self.TO.handle(handle, model.with_networks(networks, net.files, [note]), (net.modules, controlnet))


class ApplyControlNetToInpainter(ApplyControlNet):
    TO = INPAINTER
    DISPLAY_NAME = "Apply ControlNet to Inpainter"
    DESCRIPTION = (
        "Steers an inpainter by hints: edges, depths, or the picture around the hole. Image i of a batch takes hint i, "
        "and the first again after the last; hints are stretched to its size. A ControlNet of another family is "
        "refused."
    )
    RETURN_TYPES = (kinds.INPAINTER,)
    RETURN_NAMES = ("inpainter",)
    OUTPUT_TOOLTIPS = ("For Inpaint by Text, Image to Image, or for a further ControlNet.",)

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
        steering = control.control(controlnet.model, hint, strength, start, end, mask)
        return self.steered(inpainter, controlnet, steering)


class ApplyControlNetToGenerator(ApplyControlNet):
    TO = GENERATOR
    DISPLAY_NAME = "Apply ControlNet to Generator"
    DESCRIPTION = (
        "Steers a generator that draws by Stable Diffusion by hints, such as edges or depths. Sample i takes hint i, "
        "and the first again after the last; hints are stretched to its size. A ControlNet of another family is "
        "refused."
    )
    RETURN_TYPES = (kinds.GENERATOR,)
    RETURN_NAMES = ("generator",)
    OUTPUT_TOOLTIPS = ("For Sample Images, Image to Image, or for a further ControlNet.",)

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
        steering = control.control(controlnet.model, hint, strength, start, end, mask)
        return self.steered(generator, controlnet, steering)


NODES = {
    "TrilemmaLoadLoRA": LoadLoRA,
    "TrilemmaApplyLoRAToInpainter": ApplyLoRAToInpainter,
    "TrilemmaApplyLoRAToGenerator": ApplyLoRAToGenerator,
    "TrilemmaLoadControlNet": LoadControlNet,
    "TrilemmaApplyControlNetToInpainter": ApplyControlNetToInpainter,
    "TrilemmaApplyControlNetToGenerator": ApplyControlNetToGenerator,
}
