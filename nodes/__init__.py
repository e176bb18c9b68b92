"""Gathers the node classes of every menu file into the mappings that ComfyUI reads."""

from . import (
    benchmark,
    compare,
    detect,
    diagnose,
    extract,
    feature_sets,
    features,
    files,
    generate,
    grids,
    inpaint,
    judge,
    latents,
    leaderboard,
    masks,
    options,
    score,
    segment,
    sources,
)

FILES = (
    files,
    detect,
    segment,
    masks,
    inpaint,
    generate,
    options,
    latents,
    grids,
    sources,
    extract,
    features,
    feature_sets,
    compare,
    judge,
    score,
    benchmark,
    leaderboard,
    diagnose,
)

NODE_CLASS_MAPPINGS = {name: node for file in FILES for name, node in file.NODES.items()}
NODE_DISPLAY_NAME_MAPPINGS = {name: node.DISPLAY_NAME for name, node in NODE_CLASS_MAPPINGS.items()}
