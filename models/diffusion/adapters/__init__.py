"""What is laid over a Stable Diffusion model: LoRAs and ControlNets."""
