"""Nodes of the menu Trilemma/Generate that set the options of a family of generators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from .. import host
from ..models.errors import BadInput
from ..models.generators.base import FamilyName
from ..models.generators.latents import Resize, scale_of_images
from ..models.generators.options import OPTIONS
from ..models.generators.vae.prior_fitting import fit_prior
from ..models.generators.vae.priors import FITTED, Prior
from .common import inputs, kinds, menus
from .common.encoding import RESIZE_INPUT, at_its_size, in_batches

GENERATOR_INPUT = inputs.link(kinds.GENERATOR, "From Load Generator, or from another node that sets something on it.")


class FamilyOptions:
    """Base of the option nodes: one input for each option of the FAMILY, from what leaves the model as it is."""

    FAMILY: ClassVar[FamilyName]
    TOOLTIPS: ClassVar[Mapping[str, str]]
    CATEGORY = menus.GENERATE
    RETURN_TYPES = (kinds.GENERATOR,)
    RETURN_NAMES = ("generator",)
    OUTPUT_TOOLTIPS = ("The same model with these settings.",)
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {"generator": GENERATOR_INPUT},
            "optional": {name: cls._input(name, tooltip) for name, tooltip in cls.TOOLTIPS.items()},
        }

    @classmethod
    def _input(cls, name: str, tooltip: str) -> inputs.Input:
        option = OPTIONS[cls.FAMILY][name]
        if option.choices:
            return inputs.choice(option.choices, tooltip, default=option.neutral)
        if option.free:
            return inputs.text(option.neutral, tooltip)
        if isinstance(option.neutral, int):
            return inputs.integer(option.neutral, int(option.low), int(option.high), tooltip)
        return inputs.number(option.neutral, option.low, option.high, option.step, tooltip)

    def run(self, generator: host.Handle, **values: Any) -> tuple[host.Handle]:
        return (generator._replace(model=generator.model.with_options(self.FAMILY, values)),)


class GANOptions(FamilyOptions):
    FAMILY = "gan"
    TOOLTIPS = {
        "truncation_psi": "Pulls latents towards their mean: below 1 the images are better and more alike, 1 leaves "
        "the model as it is.",
        "truncation_cutoff": "How many layers, from the coarsest on, are pulled; 0 pulls all.",
        "noise_mode": "StyleGAN's noise inputs: const draws the same for all images, random draws anew from each seed, "
        "none leaves them out.",
        "seeding": "StyleGAN's and BigGAN-deep's random numbers: numpy's as in their scripts, so that a published seed "
        "gives the published image, or torch's.",
        "translate_x": "StyleGAN3: how far to the right the image is moved, in widths.",
        "translate_y": "StyleGAN3: how far down the image is moved, in heights.",
        "rotation": "StyleGAN3: by how many degrees the image is turned.",
    }
    DISPLAY_NAME = "GAN Options"
    DESCRIPTION = (
        "Sets how a GAN is sampled: truncation, noise, seeding and motion. An option that the model lacks is an error."
    )
    SEARCH_ALIASES = ["truncation psi", "truncation trick", "stylegan", "noise mode", "translate", "rotate", "seed"]


class VAEOptions(FamilyOptions):
    FAMILY = "vae"
    TOOLTIPS = {
        "temperature": "Factor of the prior's standard deviations: below 1 the images are likelier and more alike.",
        "prior": "What latents are drawn from. The last two are fitted to the connected images, and give an "
        "autoencoder without a prior one.",
    }
    DISPLAY_NAME = "VAE Options"
    DESCRIPTION = (
        "Sets how a VAE is sampled: temperature, and the prior that latents are drawn from; one can be fitted to the "
        "latents of your images."
    )
    SEARCH_ALIASES = ["vae temperature", "prior", "gaussian mixture", "latent distribution", "ex-post density"]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        types = super().INPUT_TYPES()
        types["optional"] |= {
            "images": inputs.link("IMAGE", "What a prior is fitted to; others do not look at them."),
            "components": inputs.integer(8, 1, 1024, "Of a Gaussian mixture."),
            "resize": RESIZE_INPUT,
        }
        return types

    def run(
        self,
        generator: host.Handle,
        temperature: float = OPTIONS["vae"]["temperature"].neutral,
        prior: str = OPTIONS["vae"]["prior"].neutral,
        images: torch.Tensor | None = None,
        components: int = 8,
        resize: Resize = "crop",
    ) -> tuple[host.Handle]:
        chosen = prior
        if prior in FITTED:
            chosen = self._fitted(generator, prior, images, components, resize)
        return super().run(generator, temperature=temperature, prior=chosen)

    def _fitted(
        self, generator: host.Handle, kind: str, images: torch.Tensor | None, components: int, resize: Resize
    ) -> Prior:
        if images is None:
            raise BadInput(f"images: a {kind} is fitted to images; connect some, or choose another prior.")
        model = generator.model.generator
        images = at_its_size(generator, images, resize)
        return in_batches(
            generator,
            len(images),
            scale_of_images(model.descriptor, images),
            lambda size, on_step: fit_prior(model, images, kind, components, size, on_step),
        )


class AutoregressiveOptions(FamilyOptions):
    FAMILY = "autoregressive"
    TOOLTIPS = {
        "temperature": "Divides the logits: below 1 likely codes become likelier, above 1 images vary more.",
        "top_k": "Only the k likeliest codes are drawn from; 0 takes all.",
        "top_p": "Only the likeliest codes that together reach this probability are drawn from (nucleus sampling); "
        "1 takes all.",
    }
    DISPLAY_NAME = "Autoregressive Options"
    DESCRIPTION = "Sets how an autoregressive model draws its codes: temperature, top-k and top-p."
    SEARCH_ALIASES = ["top-k", "top-p", "nucleus sampling", "temperature", "vqgan", "pixelcnn", "pixelrnn"]


class DiffusionOptions(FamilyOptions):
    FAMILY = "diffusion"
    TOOLTIPS = {
        "sampler": "DDPM and Euler ancestral draw fresh noise at each step, DDIM as much as eta says, the others none.",
        "steps": "More steps take longer; 0 takes as many as the model's own.",
        "eta": "DDIM's share of fresh noise: 0 none, 1 as DDPM.",
        "guidance_scale": "How closely to follow the condition; 0 takes the model's own.",
        "spacing": "How the steps lie among those of the training: trailing begins where all is noise, leading may "
        "begin below.",
        "respacing": "Guided diffusion's words for steps and spacing, instead of those: 250, ddim25, or 10,10,3,2,2 "
        "for so many of each fifth. Empty: none.",
        "classifier_scale": "How strongly Classifier Guidance steers: 0 not at all, -1 as its own node says.",
        "sigma_min": "EDM: the level of noise of the last step; -1 takes the model's own, as for all of EDM's.",
        "sigma_max": "EDM: the level of noise of the first step.",
        "rho": "EDM: how much closer the levels lie where there is little noise; 1 spaces them evenly.",
        "s_churn": "EDM: how much noise the steps put back, all together; 0 none.",
        "s_tmin": "EDM: the lowest level at which noise is put back.",
        "s_tmax": "EDM: the highest level at which noise is put back.",
        "s_noise": "EDM: factor of the noise that is put back.",
    }
    DISPLAY_NAME = "Diffusion Options"
    DESCRIPTION = "Sets how a diffusion model is sampled: the sampler, its steps and guidance."
    SEARCH_ALIASES = [
        "ddpm",
        "ddim",
        "dpm-solver++",
        "edm",
        "karras",
        "heun",
        "scheduler",
        "steps",
        "cfg",
        "classifier-free guidance",
    ]


NODES = {
    "TrilemmaVAEOptions": VAEOptions,
    "TrilemmaGANOptions": GANOptions,
    "TrilemmaAutoregressiveOptions": AutoregressiveOptions,
    "TrilemmaDiffusionOptions": DiffusionOptions,
}
