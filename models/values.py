"""Immutable values that cross nodes.

Those that hold tensors are NamedTuples: a host that weighs its cache looks into tuples, not into dataclasses.
Pixel coordinates have their origin at the image's top left corner; x grows to the right, y downwards.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Detections(NamedTuple):
    """Raw answers of a detector for a batch of images of one size, before any threshold.

    Where a network scores whole phrases or classes, not words, each phrase is its own token: T is P.

    boxes: float32 [B, Q, 4], centre x, centre y, width, height as fractions of the image.
    token_probs: float32 [B, Q, T], probability that query q shows caption token t; 0..1.
    phrase_tokens: bool [P, T], which tokens of the caption spell each phrase.
    phrases: the P phrases of the prompt, as the user wrote them.
    tokens: the T tokens of the caption, or the phrases.
    height, width: size of the images in pixels.
    names: what the detector can find at all, where that is a closed set.
    limits: of each phrase, at most so many of an image count; 0 is all of them. Empty: all of every phrase.
    thresholds: of each phrase, scores from which it counts, or None. Empty: no phrase has its own.
    passes: how often the network looked, each time for other phrases; the queries of a pass stand together, all passes
        have as many, and a query gives the tokens of other passes no probability.
    """

    boxes: torch.Tensor
    token_probs: torch.Tensor
    phrase_tokens: torch.Tensor
    phrases: tuple[str, ...]
    tokens: tuple[str, ...]
    height: int
    width: int
    names: tuple[str, ...] = ()
    limits: tuple[int, ...] = ()
    thresholds: tuple[float | None, ...] = ()
    passes: int = 1


class PackedMask(NamedTuple):
    """A binary mask, cropped to its tight bounds, eight pixels to a byte.

    bits: uint8 [h, ceil(w / 8)], most significant bit first; [0, 0] for an empty mask.
    x, y: the top left pixel of the bounds in the image.
    width: w in pixels.
    """

    bits: torch.Tensor
    x: int
    y: int
    width: int


class SegmentedObject(NamedTuple):
    """One object of one frame: what it is, how sure, where, and which pixels.

    frame: index of its image in the batch.
    box: x, y, width, height in pixels, as prompted or as detected.
    label: its name; empty where nothing named it.
    score: 0..1, of the detector where there was one, else the segmenter's predicted IoU.
    mask: its pixels.
    """

    frame: int
    box: tuple[float, float, float, float]
    label: str
    score: float
    mask: PackedMask


class Objects(NamedTuple):
    """All segmented objects of a batch of `frames` images of one size, in frame order; may be empty."""

    objects: tuple[SegmentedObject, ...]
    frames: int
    height: int
    width: int


class CropRegion(NamedTuple):
    """Where one crop came from, and which of its pixels go back.

    frame: index of its image in the batch.
    x, y, width, height: the region in image pixels; it may reach beyond the image's borders.
    mask_x, mask_y: the image pixel where `mask` begins.
    mask: float32 [h, w], 0..1, share of the repainted crop in the stitched image; nothing is pasted outside of it.
    """

    frame: int
    x: int
    y: int
    width: int
    height: int
    mask_x: int
    mask_y: int
    mask: torch.Tensor


class Crops(NamedTuple):
    """The originals of a batch and the regions cut from them, in paste order.

    images: float32 [B, H, W, C], untouched.
    regions: one per crop; images without a region pass through a stitch unchanged.
    """

    images: torch.Tensor
    regions: tuple[CropRegion, ...]
