"""The starter segmenter: a Segment Anything network of 0.7 million parameters for 128-pixel emoji scenes.

`python -m training.segmenter` trains it, resumes what was interrupted, and writes models/starter/emoji_segmenter.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import scenes
from .loop import Schedule, train
from .scenes import Scene, Sprites

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

RUNS = Path(__file__).parent / "runs"
STARTER = Path(__file__).parents[1] / "models" / "starter" / "emoji_segmenter"
SIZE = 128
PATCH = 8
HEADS = 4
DECODER_HEADS = 4
WINDOW = 8
GLOBAL_BLOCKS = (1, 4)
COOLDOWN = ((3000, 1.0), (5000, 0.5238), (6500, 0.0))
SCHEDULES = (Schedule(steps=6500, rate=1.2e-3, horizon=10500, cooldown=COOLDOWN, betas=(0.9, 0.999)),)
IMAGES = 4
PROMPTS = 4
FOCAL_WEIGHT = 20.0
MULTIMASK_WEIGHT = 0.5


class Prompt(NamedTuple):
    """P prompts of one kind for one image, and the masks that they ask for. Absent kinds are None."""

    boxes: Tensor | None
    """float32 [P, 4], x0 y0 x1 y1 in pixels."""
    points: tuple[Tensor, Tensor] | None
    """float32 [P, K, 2], x y in pixels, and int64 [P, K]: 1 on the object, 0 off it."""
    masks: Tensor
    """float32 [P, S, S], 0 or 1; all 0 where a point lies on the ground."""


def build_model(seed: int = 0) -> "Sam":
    """A fresh network, the same for the same seed."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(seed)
    width = 64
    grid = SIZE // PATCH
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=SIZE,
            patch_size=PATCH,
            embed_dim=96,
            depth=5,
            num_heads=HEADS,
            mlp_ratio=3,
            out_chans=width,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=WINDOW,
            global_attn_indexes=GLOBAL_BLOCKS,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=width, image_embedding_size=(grid, grid), input_image_size=(SIZE, SIZE), mask_in_chans=8
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=width,
            transformer=TwoWayTransformer(depth=2, embedding_dim=width, num_heads=DECODER_HEADS, mlp_dim=128),
            iou_head_hidden_dim=width,
        ),
    )


def draw_scene(rng: np.random.Generator, sprites: Sprites) -> Scene:
    """Mostly several sprites that touch or overlap, for telling neighbours apart is what is hard to learn."""
    if rng.random() < 0.15:
        return scenes.compose(rng, sprites, SIZE, count=(1, 2), scale=(0.4, 0.9))
    return scenes.compose(rng, sprites, SIZE, count=(2, 5), scale=(0.18, 0.6), touching=0.55)


def draw_prompt(rng: np.random.Generator, scene: Scene, count: int = PROMPTS) -> Prompt:
    """`count` prompts for random sprites: boxes (60 %, half of them jittered), points (30 %), or both."""
    kind = rng.random()
    chosen = rng.integers(len(scene.masks), size=count)
    masks = scene.masks[chosen]
    boxes = torch.from_numpy(_jitter(rng, scene.boxes[chosen])) if kind < 0.7 else None
    if kind < 0.6:
        return Prompt(boxes, None, torch.from_numpy(masks).float())
    if boxes is None and rng.random() < 0.3:
        masks = masks.copy()
        masks[0] = False
    points = np.stack([_choose_points(rng, mask, scene.masks) for mask in masks])
    labels = torch.tensor([[1, 0]]).expand(count, 2)
    kept = 1 + rng.integers(2)
    return Prompt(
        boxes, (torch.from_numpy(points[:, :kept]), labels[:, :kept].contiguous()), torch.from_numpy(masks).float()
    )


def _jitter(rng: np.random.Generator, boxes: np.ndarray) -> np.ndarray:
    spread = 0.06 * (rng.random(len(boxes)) < 0.5)[:, None]
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return (boxes + rng.uniform(-1, 1, boxes.shape) * spread * sides).clip(0, SIZE).astype(np.float32)


def _choose_points(rng: np.random.Generator, mask: np.ndarray, others: np.ndarray) -> np.ndarray:
    """float32 [2, 2]: a point on the mask (on the ground if the mask is empty), and one off it."""
    ground = ~others.any(axis=0)
    inside = mask if mask.any() else ground
    outside = others.any(axis=0) & ~mask if rng.random() < 0.5 else ground
    return np.stack([_choose_pixel(rng, area if area.any() else ~mask) for area in (inside, outside)])


def _choose_pixel(rng: np.random.Generator, area: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(area)
    index = rng.integers(len(rows))
    return np.array([columns[index] + 0.5, rows[index] + 0.5], np.float32)


def segmentation_losses(sam: "Sam", batch: list[Scene], prompts: list[Prompt]) -> Mapping[str, Tensor]:
    """Focal and dice loss of the single mask, the best of the three masks at half weight, and the IoU head's error.

    Kirillov et al. 2023, section A: 20 x focal + dice; of ambiguous masks only the best one learns.
    """
    images = np.stack([scene.image for scene in batch])
    embeddings = sam.image_encoder(sam.preprocess(torch.from_numpy(images).permute(0, 3, 1, 2).float()))
    position = sam.prompt_encoder.get_dense_pe()
    logits, qualities = [], []
    for embedding, prompt in zip(embeddings, prompts, strict=True):
        sparse, dense = sam.prompt_encoder(prompt.points, prompt.boxes, None)
        masks, quality = sam.mask_decoder.predict_masks(embedding[None], position, sparse, dense)
        logits.append(masks)
        qualities.append(quality)
    scores = F.interpolate(torch.cat(logits), size=(SIZE, SIZE), mode="bilinear")
    wanted = torch.cat([prompt.masks for prompt in prompts])[:, None].expand_as(scores)
    errors = mask_loss(scores, wanted)
    quality_error = F.mse_loss(torch.cat(qualities), overlap(scores.detach() > 0, wanted > 0))
    return {
        "single": errors[:, 0].mean(),
        "best": MULTIMASK_WEIGHT * errors[:, 1:].min(dim=1).values.mean(),
        "quality": quality_error,
    }


def mask_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """[P, M]: 20 x focal (alpha 0.25, gamma 2) + dice, of float [P, M, H, W] logits against 0 or 1."""
    score = logits.sigmoid()
    miss = torch.where(wanted > 0, 1 - score, score)
    weight = torch.where(wanted > 0, 0.25, 0.75)
    focal = (weight * miss**2 * F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")).mean(dim=(2, 3))
    common = (score * wanted).sum(dim=(2, 3))
    dice = 1 - (2 * common + 1) / (score.sum(dim=(2, 3)) + wanted.sum(dim=(2, 3)) + 1)
    return FOCAL_WEIGHT * focal + dice


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """IoU of bool [..., H, W] masks, [...]; 0 where both are empty."""
    common = (a & b).sum(dim=(-2, -1))
    return common / (a | b).sum(dim=(-2, -1)).clamp(min=1)


def fit(sam: "Sam", sprites: Sprites, runs: Path, schedules: Sequence[Schedule] = SCHEDULES) -> None:
    """Train `sam` in place, one schedule after the other; checkpoints in `runs` are resumed."""

    def losses_at(step: int, stream: int) -> Mapping[str, Tensor]:
        rng = np.random.default_rng([stream, step])
        batch = [draw_scene(rng, sprites) for _ in range(IMAGES)]
        return segmentation_losses(sam, batch, [draw_prompt(rng, scene) for scene in batch])

    for cycle, schedule in enumerate(schedules):
        train(sam, partial(losses_at, stream=11 + cycle), schedule, runs / f"segmenter{cycle}.pt")


def export(sam: "Sam", folder: Path) -> None:
    """Write the state dict in half precision; its metadata says what the shapes cannot tell."""
    from safetensors.torch import save_file

    unseen = {
        "architecture": "sam",
        "image_size": SIZE,
        "num_heads": HEADS,
        "global_attn_indexes": GLOBAL_BLOCKS,
        "decoder_num_heads": DECODER_HEADS,
        "window_size": WINDOW,
    }
    folder.mkdir(parents=True, exist_ok=True)
    weights = {key: value.half().contiguous() for key, value in sam.state_dict().items()}
    path = folder / "model.safetensors"
    save_file(weights, path, metadata={"format": "pt", "trilemma": json.dumps(unseen)})
    path.chmod(0o644)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=scenes.DATA)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where checkpoints are kept")
    parser.add_argument("--output", type=Path, default=STARTER)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sam = build_model()
    fit(sam, scenes.load_sprites(arguments.data), arguments.runs)
    export(sam, arguments.output)


if __name__ == "__main__":
    main()
