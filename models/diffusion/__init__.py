"""What all diffusion models share: networks, files, schedulers, the sampling loop, prompts, memory."""
