"""DiT: a transformer that denoises latents of an autoencoder, from its own files."""
