"""Latent diffusion models in single files of CompVis, from before Stable Diffusion."""
