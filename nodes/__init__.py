"""Gathers the node classes of every menu file into the mappings that ComfyUI reads."""

from . import (
    adapt,
    detect,
    files,
    generate,
    generate_from_images,
    generate_latents,
    generate_options,
    generate_sources,
    images,
    inpaint,
    inpaint_restore,
    masks,
    score,
    score_benchmark,
    score_diagnosis,
    score_extractors,
    score_feature_sets,
    score_features,
    score_images,
    score_leaderboard,
    score_verdicts,
    segment,
)

FILES = (
    files,
    detect,
    segment,
    masks,
    inpaint,
    inpaint_restore,
    adapt,
    generate,
    generate_from_images,
    generate_options,
    generate_latents,
    images,
    generate_sources,
    score_extractors,
    score_features,
    score_feature_sets,
    score_images,
    score_verdicts,
    score,
    score_benchmark,
    score_leaderboard,
    score_diagnosis,
)

NODE_CLASS_MAPPINGS = {name: node for file in FILES for name, node in file.NODES.items()}
NODE_DISPLAY_NAME_MAPPINGS = {name: node.DISPLAY_NAME for name, node in NODE_CLASS_MAPPINGS.items()}
