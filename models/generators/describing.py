"""A generator in words, for a user to read."""

from __future__ import annotations

from .base import Descriptor

MAX_NAMES = 40


def describe(descriptor: Descriptor) -> str:
    """Lines of text: what it is, what can be asked of it, and its options with their values."""
    colours = {1: "grey", 3: "RGB"}.get(descriptor.channels, "RGB with alpha")
    options = ", ".join(f"{name} = {value}" for name, value in descriptor.options.items())
    lines = [
        f"{descriptor.architecture} (family: {descriptor.family})",
        f"pictures: {descriptor.width} x {descriptor.height}, {colours}",
        f"parameters: {descriptor.parameters:,}",
        f"conditions: {', '.join(descriptor.conditions)}",
        *_classes(descriptor),
        *_features(descriptor),
        *([f"latents: {' x '.join(map(str, descriptor.latent_shape))}"] if descriptor.latent_shape else []),
        f"options: {options or 'none'}",
        f"can: {', '.join(descriptor.abilities)}",
    ]
    return "\n".join(lines)


def _classes(descriptor: Descriptor) -> list[str]:
    names = descriptor.class_names
    if not descriptor.num_classes and not names:
        return []
    if not names:
        return [f"classes: {descriptor.num_classes}, by number from 0"]
    rest = f", and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    title = "classes" if descriptor.num_classes else "names to write in prompts"
    return [f"{title}: {', '.join(names[:MAX_NAMES])}{rest}"]


def _features(descriptor: Descriptor) -> list[str]:
    if not descriptor.vector_size:
        return []
    return [f"features: {descriptor.vector_size}, of {descriptor.vector_of or 'a network that the file does not tell'}"]
