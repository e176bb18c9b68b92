"""Nodes of the menu Trilemma/Generate that find the latents of pictures by optimisation."""

from __future__ import annotations

from typing import Any, Final

import torch

from .. import host
from ..models.errors import BadInput
from ..models.generators import noise, reconstruction
from ..models.generators.latents import Resize
from ..models.generators.projection import distances, projecting
from ..models.generators.sampling import fitting_batch
from ..models.scoring.metrics.lpips import BACKBONES, Lpips, Net
from ..models.steps import after
from .common import inputs, kinds, menus
from .common.encoding import RESIZE_INPUT, at_its_size, decoded
from .common.perceptual import is_there, lpips_network
from .common.showing import show_text

AUTO: Final = "auto"
PYRAMID: Final = "pyramid"
NETS: Final[dict[str, Net]] = {"lpips vgg": "vgg", "lpips alex": "alex"}
BY_LAYER: Final = "w+"


class ProjectImage:
    DISPLAY_NAME = "Project Image"
    CATEGORY = menus.GENERATE
    DESCRIPTION = (
        "Finds the latent of a picture for a GAN, which has no encoder, by optimisation: StyleGAN2's projector. The "
        "latent can then be edited."
    )
    SEARCH_ALIASES = ["gan inversion", "stylegan projector", "image to w", "encode image", "embed in latent space"]
    RETURN_TYPES = (kinds.LATENT, "IMAGE", "IMAGE", "STRING")
    RETURN_NAMES = ("latent", "image", "original", "report")
    OUTPUT_TOOLTIPS = (
        "One latent for each image, for Edit Latent and Decode Latent with the same generator.",
        "What the generator draws of them.",
        "The images at the model's size, and grey for a model of grey pictures.",
        "For each image the loss of the first and the last step, and the PSNR.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "A GAN; its options count, such as noise_mode, and classes."),
                "image": inputs.images(),
                "steps": inputs.integer(projecting.STEPS, 1, 100_000, "Of the optimisation; the paper takes 1,000."),
                "seed": inputs.seed("Of the noise on the way: image i takes seed + i."),
            },
            "optional": {
                "loss": inputs.choice(
                    (AUTO, *NETS, PYRAMID),
                    "What is made small. lpips: as seen by a network, whose file is in models/metrics. pyramid: "
                    "differences on every scale, without a network. auto: lpips, if its file is there.",
                ),
                "space": inputs.choice(
                    ("w", BY_LAYER),
                    "StyleGAN: w has one vector for all layers, and edits well; w+ one for each layer, and comes "
                    "closer. Other GANs are projected into z.",
                ),
                "resize": RESIZE_INPUT,
                "batch_size": inputs.fitting_batch_size("projected"),
            },
        }

    def run(
        self,
        generator: host.Handle,
        image: torch.Tensor,
        steps: int,
        seed: int,
        loss: str = AUTO,
        space: str = "w",
        resize: Resize = "crop",
        batch_size: int = 0,
    ) -> dict[str, Any]:
        bound = generator.model
        model, descriptor = bound.generator, bound.generator.descriptor
        model.check_can("project")
        original = reconstruction.in_colours_of(descriptor, at_its_size(generator, image, resize))
        count = len(original)
        requests = noise.requests(count, seed, bound.conditions)
        chosen = _chosen(loss, min(original.shape[1:3]))
        network = lpips_network(NETS[chosen], PYRAMID) if chosen in NETS else None
        distance = distances.pyramid if network is None else distances.perceptual(network.distances)
        handles = (generator,) if network is None else (generator, host.hold(network, network.modules))
        batch_size = min(batch_size, count) or fitting_batch(model, count, projecting.LAYERS_KEPT)
        memory = int(model.memory_bytes(batch_size) * projecting.LAYERS_KEPT) + _memory(network, original, batch_size)
        total = projecting.START_STEPS + count * steps
        with host.placed(*handles, memory=memory), host.progress(total) as on_step:
            start = projecting.start_of(bound, on_step)
            told = after(on_step, projecting.START_STEPS)
            by_layer = space == BY_LAYER
            found = host.halving(
                lambda size: projecting.project(
                    bound, original, requests, start, distance, steps, size, by_layer, told
                ),
                batch_size,
            )
        drawn = decoded(generator, found.latents, requests)
        report = projecting.report(chosen, found, reconstruction.psnr(original, drawn.cpu()[..., :3]))
        return show_text(report, found.latents, drawn, host.intermediate(original), report)


def _chosen(loss: str, side: int) -> str:
    """The loss itself where it is named, else the best that is there and takes pictures of this side.

    Raises:
        BadInput: the one that is named does not take them.
    """
    if loss in NETS and side < BACKBONES[NETS[loss]].side:
        least = BACKBONES[NETS[loss]].side
        raise BadInput(f"loss: {loss} takes pictures of {least} pixels and more, these have {side}; choose {PYRAMID}.")
    if loss != AUTO:
        return loss
    fitting = (name for name, net in NETS.items() if side >= BACKBONES[net].side and is_there(net))
    return next(fitting, PYRAMID)


def _memory(network: Lpips | None, images: torch.Tensor, batch_size: int) -> int:
    """What a loss takes, its derivative included."""
    if network is None:
        return 0
    height, width = (min(side, distances.SEEN) for side in images.shape[1:3])
    return 2 * batch_size * network.memory_bytes(height, width)


NODES = {"TrilemmaProjectImage": ProjectImage}
