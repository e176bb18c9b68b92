"""Autoencoders, what draws their codes, and rows of layers; the particular before the general."""

from __future__ import annotations

from typing import Final

from .signature import GENERATOR, OWN_CODE, Signature

SIGNATURES: Final = (
    Signature(
        "a VQGAN of taming-transformers with the transformer over its codes",
        GENERATOR,
        ("generator",),
        (r"first_stage_model\.quantize\.", r"transformer\.blocks\.0\.attn\.key\.weight"),
    ),
    Signature(
        "a VQGAN of taming-transformers",
        GENERATOR,
        ("generator",),
        (r"encoder\.down\.0\.block\.0\.", r"quantize\."),
    ),
    Signature(
        "a transformer of taming-transformers",
        OWN_CODE,
        (),
        (r"(transformer\.)?pos_emb$", r"(transformer\.)?blocks\.0\.attn\.key\.weight", r"(transformer\.)?tok_emb\."),
    ),
    Signature("a minDALL-E", GENERATOR, ("generator",), (r"tok_emb_(img|txt)\.weight", r"blocks\.0\.")),
    Signature(
        "a part of DALL-E (its encoder or decoder of codes)",
        GENERATOR,
        ("generator",),
        (r"blocks\.input\.w$", r"blocks\.output\.conv\.w$"),
    ),
    Signature("an ImageGPT", GENERATOR, ("generator",), (r"transformer\.wte\.weight", r"transformer\.h\.0\.")),
    Signature(
        "the text encoder of a latent diffusion model (LDM)",
        OWN_CODE,
        (),
        (r"token_emb\.weight", r"attn_layers\.layers\.0\."),
    ),
    Signature(
        "a variational autoencoder",
        "it belongs into models/vae, for ComfyUI's Load VAE, or into models/generators, for Load Generator",
        ("generator",),
        (r"encoder\.conv_in\.weight", r"decoder\.conv_in\.weight"),
    ),
    Signature(
        "a tiny autoencoder (TAESD)",
        GENERATOR,
        ("generator",),
        (
            r"(encoder\.|decoder\.)?(layers\.)?\d+\.conv\.[04]\.weight",
            r"(encoder\.|decoder\.)?(layers\.)?\d+\.conv\.2\.weight",
        ),
    ),
    Signature(
        "a convolutional VAE of PyTorch-VAE", GENERATOR, ("generator",), (r"encoder\.0\.0\.weight", r"fc_mu\.weight")
    ),
    Signature(
        "a VQ-VAE of PyTorch-VAE", GENERATOR, ("generator",), (r"encoder\.0\.0\.weight", r"vq_layer\.embedding\.weight")
    ),
    Signature("a VAE of MNIST", GENERATOR, ("generator",), (r"fc21\.weight", r"fc4\.weight")),
    Signature("a sigma-VAE of the pack", GENERATOR, ("generator",), (r"encoder\.0\.0\.weight", r"expansion\.weight")),
    Signature(
        "a VQModel of diffusers with a prior over its codes", GENERATOR, ("generator",), (r"vqvae\.", r"prior\.")
    ),
    Signature(
        "a VQModel of diffusers",
        GENERATOR,
        ("generator",),
        (r"encoder\.down_blocks\.0\.resnets\.0\.", r"quantize\.embedding\.weight"),
    ),
    Signature("a DCGAN generator", GENERATOR, ("generator",), (r"main\.0\.weight", r"main\.1\.running_mean")),
    Signature(
        "a row of dense layers, such as a GAN's generator",
        GENERATOR,
        ("generator",),
        (r"0\.weight", r"\A(\d+\.(weight|bias)\n?){4,}\Z"),
    ),
)
