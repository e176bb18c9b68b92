"""EDM: networks of pictures at any level of noise, and the sampler that goes down these levels."""
