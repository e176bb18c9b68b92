"""The starter segmenter: a Segment Anything network of 1.2 million parameters for emoji scenes.

`python -m training.segmenter` trains it, resumes what was interrupted, and writes models/starter/emoji_segmenter.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from . import scenes
from .command import read_arguments, save
from .loop import Schedule, train
from .scenes import Scene, Sprites

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

SCENE = 128
SIZE = 126
"""Of the network's input: a multiple of patches of 6 and of windows of 7. Patches of 8 blur outlines by a pixel."""
LARGE = 210
"""Of its input in the end. A network that learned at 126 pixels needs few of the slow steps at this size."""
PATCH = 6
WIDTH = 96
HEADS = 4
DECODER_HEADS = 4
WINDOW = 7
GLOBAL_BLOCKS = (2, 4)
SCHEDULE = Schedule(steps=6600, rate=1e-3, betas=(0.9, 0.99), horizon=9000)
SHARPEN = Schedule(steps=2400, rate=5e-4, betas=(0.9, 0.99), warmup=50)
ENLARGED = Schedule(steps=2000, rate=4e-4, betas=(0.9, 0.99), warmup=50)
IMAGES = 4
PROMPTS = 4
LEAST_AREA = 16.0
FINER = 3
MULTIMASK_WEIGHT = 0.5


class Trainee(nn.Module):
    """The network, and a head on its image embedding that exists in training only.

    The head tells of every cell of a grid four times as fine as the embedding: whether a sprite shows there, whether
    two sprites or sprite and ground meet, and where the sprite's middle lies. So the image encoder learns outlines and
    neighbours from every pixel of a scene, not only from the few that are asked for.
    """

    def __init__(self, sam: "Sam") -> None:
        super().__init__()
        self.sam = sam
        self.dense = nn.Sequential(nn.Conv2d(sam.prompt_encoder.embed_dim, 4 * FINER**2, 1), nn.PixelShuffle(FINER))


class Prompt(NamedTuple):
    """P prompts of one kind for one image, and the masks that they ask for. Absent kinds are None."""

    boxes: Tensor | None
    """float32 [P, 4], x0 y0 x1 y1 in pixels."""
    points: tuple[Tensor, Tensor] | None
    """float32 [P, K, 2], x y in pixels, and int64 [P, K]: 1 on the object, 0 off it."""
    masks: Tensor
    """float32 [P, S, S], 0 or 1; all 0 where a point lies on the ground."""


def build_model(size: int = SIZE, seed: int = 0) -> "Sam":
    """A fresh network for pictures of `size` pixels, the same for the same seed."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(seed)
    grid = size // PATCH
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=size,
            patch_size=PATCH,
            embed_dim=128,
            depth=5,
            num_heads=HEADS,
            mlp_ratio=2.5,
            out_chans=WIDTH,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=WINDOW,
            global_attn_indexes=GLOBAL_BLOCKS,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=WIDTH, image_embedding_size=(grid, grid), input_image_size=(size, size), mask_in_chans=8
        ),
        mask_decoder=MaskDecoder(
            transformer_dim=WIDTH,
            transformer=TwoWayTransformer(depth=2, embedding_dim=WIDTH, num_heads=DECODER_HEADS, mlp_dim=128),
            iou_head_hidden_dim=WIDTH,
        ),
    )


def enlarge(sam: "Sam", size: int) -> "Sam":
    """The same network for pictures of `size` pixels: its positions are interpolated, all else is copied.

    Touvron et al. 2019, "Fixing the train-test resolution discrepancy"; the relative positions as segment-anything's
    `get_rel_pos` does it.
    """
    large = build_model(size)
    weights = sam.state_dict()
    for name, wanted in large.state_dict().items():
        if name.endswith("pos_embed"):
            table = weights[name].permute(0, 3, 1, 2)
            weights[name] = F.interpolate(table, size=wanted.shape[1:3], mode="bicubic").permute(0, 2, 3, 1)
        elif ".rel_pos_" in name:
            weights[name] = F.interpolate(weights[name].T[None], size=len(wanted), mode="linear")[0].T
    large.load_state_dict(weights)
    return large


def draw_scene(rng: np.random.Generator, sprites: Sprites) -> Scene:
    """A third of the scenes is crowded, for telling neighbours apart is what is hard to learn."""
    kind = rng.random()
    if kind < 0.15:
        return scenes.compose(rng, sprites, SCENE, count=(1, 2), scale=(0.4, 0.9))
    if kind < 0.5:
        return scenes.compose(rng, sprites, SCENE, count=(2, 5), scale=(0.18, 0.6), touching=0.55)
    return scenes.compose(rng, sprites, SCENE)


def draw_prompt(rng: np.random.Generator, scene: Scene, count: int = PROMPTS) -> Prompt:
    """`count` prompts for random sprites: boxes (60 %, half of them moved a little), points (30 %), or both."""
    kind = rng.random()
    chosen = np.resize(rng.permutation(len(scene.masks)), count)
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
    return (boxes + rng.uniform(-1, 1, boxes.shape) * spread * sides).clip(0, SCENE).astype(np.float32)


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


def segmentation_losses(
    trainee: Trainee, batch: list[Scene], prompts: list[Prompt], sharpen: bool = False
) -> Mapping[str, Tensor]:
    """The losses of the single mask, of the best of three masks at half weight, of the IoU head and the dense head.

    Kirillov et al. 2023, section A: of ambiguous masks only the best one learns. sharpen: masks learn by their IoU at
    the size of the scene as well.
    """
    sam = trainee.sam
    size = sam.image_encoder.img_size
    images = np.stack([_resize(scene.image, size) for scene in batch])
    embeddings = sam.image_encoder(sam.preprocess(torch.from_numpy(images).permute(0, 3, 1, 2).float()))
    position = sam.prompt_encoder.get_dense_pe()
    logits, qualities = [], []
    for embedding, prompt in zip(embeddings, prompts, strict=True):
        sparse, dense = sam.prompt_encoder(*_scaled(prompt, size / SCENE), None)
        masks, quality = sam.mask_decoder.predict_masks(embedding[None], position, sparse, dense)
        logits.append(masks)
        qualities.append(quality)
    scores = torch.cat(logits)
    wanted = torch.cat([prompt.masks for prompt in prompts])[:, None]
    cells = F.interpolate(wanted, size=scores.shape[-2:], mode="bilinear", antialias=True)
    errors = mask_loss(scores, cells.expand_as(scores))
    large = F.interpolate(scores, size=(SCENE, SCENE), mode="bilinear")
    quality_error = F.mse_loss(torch.cat(qualities), overlap(large.detach() > 0, wanted > 0))
    if sharpen:
        errors = errors + iou_loss(large, wanted.expand_as(large))
    return {
        "single": errors[:, 0].mean(),
        "best": MULTIMASK_WEIGHT * errors[:, 1:].min(dim=1).values.mean(),
        "quality": quality_error,
        "dense": dense_loss(trainee.dense(embeddings), batch),
    }


def _resize(image: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


def _scaled(prompt: Prompt, scale: float) -> tuple[tuple[Tensor, Tensor] | None, Tensor | None]:
    """Points and boxes in pixels of the network's input."""
    points = prompt.points and (prompt.points[0] * scale, prompt.points[1])
    return points, None if prompt.boxes is None else prompt.boxes * scale


def dense_loss(answers: Tensor, batch: list[Scene]) -> Tensor:
    """Cross entropy of where sprites show and where outlines run, and how far off their middles are told.

    answers: float [B, 4, G, G]: logits of sprite and outline, then the way to the middle in quarters of the picture.
    """
    targets = torch.stack([_dense_targets(scene, answers.shape[-1]) for scene in batch])
    entropy = F.binary_cross_entropy_with_logits(answers[:, :2], targets[:, :2])
    covered = targets[:, :1] > 0.5
    astray = ((answers[:, 2:] - targets[:, 2:]).abs() * covered).sum() / covered.sum().clamp(min=1)
    return 2 * entropy + astray


def _dense_targets(scene: Scene, grid: int) -> Tensor:
    labels = torch.zeros(SCENE, SCENE, dtype=torch.long)
    middles = torch.zeros(len(scene.masks) + 1, 2)
    for index, (mask, box) in enumerate(zip(scene.masks, scene.boxes, strict=True), start=1):
        labels[torch.from_numpy(mask)] = index
        middles[index] = torch.from_numpy(box[:2] + box[2:]) / 2
    outline = torch.zeros(SCENE, SCENE)
    outline[:, 1:] += labels[:, 1:] != labels[:, :-1]
    outline[1:] += labels[1:] != labels[:-1]
    place = torch.arange(SCENE) + 0.5
    ways = torch.stack([middles[labels][..., 0] - place, middles[labels][..., 1] - place[:, None]]) / (SCENE / 4)
    shown = F.adaptive_avg_pool2d((labels > 0).float()[None], grid)
    drawn = F.adaptive_max_pool2d((outline > 0).float()[None], grid)
    cells = ((torch.arange(grid) + 0.5) * SCENE / grid).long()
    return torch.cat([shown, drawn, ways[:, cells[:, None], cells]])


def mask_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """[P, M]: cross entropy + dice, of float [P, M, H, W] logits against the share of each cell that is covered.

    The cross entropy is summed and divided by the object's area in cells, so that small objects weigh as much as large
    ones. SAM's own focal loss averages over the picture, where a small object hardly counts.
    """
    score = logits.sigmoid()
    area = wanted.sum(dim=(2, 3))
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(dim=(2, 3))
    dice = 1 - (2 * (score * wanted).sum(dim=(2, 3)) + 1) / (score.sum(dim=(2, 3)) + area + 1)
    return entropy / area.clamp(min=LEAST_AREA) + dice


def iou_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """[P, M]: the Lovász hinge (Berman et al. 2018), a convex bound of 1 - IoU, of float [P, M, H, W] logits."""
    truth = wanted.flatten(2)
    errors, order = (1 - logits.flatten(2) * (2 * truth - 1)).sort(dim=2, descending=True)
    truth = truth.gather(2, order)
    area = truth.sum(dim=2, keepdim=True)
    jaccard = 1 - (area - truth.cumsum(dim=2)) / (area + (1 - truth).cumsum(dim=2))
    steps = torch.diff(jaccard, dim=2, prepend=torch.zeros_like(area))
    return (errors.clamp(min=0) * steps).sum(dim=2)


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """IoU of bool [..., H, W] masks, [...]; 0 where both are empty."""
    common = (a & b).sum(dim=(-2, -1))
    return common / (a | b).sum(dim=(-2, -1)).clamp(min=1)


def fit(sprites: Sprites, runs: Path, schedules: tuple[Schedule, ...] = (SCHEDULE, SHARPEN, ENLARGED)) -> "Sam":
    """A trained network: it learns, then sharpens its outlines, then does so on enlarged pictures.

    Checkpoints in `runs` are resumed.
    """
    trainee = Trainee(build_model())

    def losses_at(step: int, stream: int, sharpen: bool) -> Mapping[str, Tensor]:
        rng = np.random.default_rng([stream, step])
        batch = [draw_scene(rng, sprites) for _ in range(IMAGES)]
        return segmentation_losses(trainee, batch, [draw_prompt(rng, scene) for scene in batch], sharpen)

    learn, sharpen, enlarged = schedules
    train(trainee, partial(losses_at, stream=11, sharpen=False), learn, runs / "segmenter.pt")
    train(trainee, partial(losses_at, stream=12, sharpen=True), sharpen, runs / "segmenter_sharpened.pt")
    trainee.sam = enlarge(trainee.sam, LARGE)
    train(trainee, partial(losses_at, stream=13, sharpen=True), enlarged, runs / "segmenter_enlarged.pt")
    return trainee.sam


def export(sam: "Sam", folder: Path) -> None:
    """Write the state dict in half precision; its metadata says what the shapes cannot tell."""
    unseen = {
        "architecture": "sam",
        "image_size": sam.image_encoder.img_size,
        "num_heads": HEADS,
        "global_attn_indexes": GLOBAL_BLOCKS,
        "decoder_num_heads": DECODER_HEADS,
        "window_size": WINDOW,
    }
    save(sam.state_dict(), unseen, folder)


def main() -> None:
    arguments = read_arguments(__doc__, "emoji_segmenter")
    sam = fit(scenes.load_sprites(arguments.data), arguments.runs)
    export(sam, arguments.output)


if __name__ == "__main__":
    main()
