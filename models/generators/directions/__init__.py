"""Ways in which latents are moved so that one thing of the picture changes, and where they come from."""
