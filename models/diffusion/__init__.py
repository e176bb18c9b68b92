"""What all diffusion models share: networks, files, samplers, the sampling loop, prompts, memory."""
