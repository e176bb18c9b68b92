"""The starter detector: a Grounding DINO of 2 million parameters that knows 60 emoji by name.

`python -m training.detector` trains in three stages (the backbone alone, aligned cell by cell with the names; the whole
network, one query answering for each sprite; the same with several queries for each, in three cosines), resumes what
was interrupted, and writes models/starter/emoji_detector.
"""

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
from .command import read_arguments
from .detection_loss import set_loss
from .loop import Schedule, train
from .prompts import VOCABULARY_SIZE, Prompts, build_vocabulary, choose_names, encode, read_vocabulary
from .scenes import NAMES, Scene, Sprites

if TYPE_CHECKING:
    from transformers import GroundingDinoConfig, GroundingDinoForObjectDetection

MODELS = Path(__file__).parents[1] / "models"
BERT_VOCABULARY = MODELS / "detection" / "bert_base_uncased_vocab.txt"
SIZE = 128
WINDOW = 8
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
STRIDES = (8, 16, 32)
ALIGN = Schedule(steps=2400, rate=1.5e-3, warmup=100)
ALIGN_BATCH = 8
DETECT_BATCH = 8
PROPOSALS_PER_TARGET = 4
TEXT_SCALE = 0.3
RARE = 2.0


class Kind(NamedTuple):
    """A kind of training scene: how often it is drawn, the size at which it is rendered, and what it holds."""

    share: float
    rendered: int
    count: tuple[int, int]
    scale: tuple[float, float]


class Stage(NamedTuple):
    """A stage of training with the set loss.

    copies: how many queries answer for one target; None: one. With one, those that see the same sprite share its
    score; with several, as many as see it, each may be sure, and overlap removal picks the best.
    alone, present: see `choose_names`.
    """

    schedule: Schedule
    copies: int | None
    alone: float
    present: float


DETECT = Stage(Schedule(steps=5200, rate=8e-4), copies=None, alone=0.2, present=0.5)
REFINE = tuple(
    Stage(Schedule(steps, rate, warmup=50), copies=4, alone=0.35, present=0.25)
    for steps, rate in ((3000, 6e-4), (3400, 7e-4), (4000, 6e-4))
)
KINDS = (
    Kind(share=0.7, rendered=128, count=(1, 4), scale=(0.18, 0.6)),
    Kind(share=0.12, rendered=128, count=(1, 2), scale=(0.45, 0.9)),
    Kind(share=0.12, rendered=64, count=(1, 3), scale=(0.3, 0.85)),
    Kind(share=0.06, rendered=48, count=(1, 2), scale=(0.35, 0.85)),
)


def build_config() -> "GroundingDinoConfig":
    from transformers import BertConfig, GroundingDinoConfig, SwinConfig

    backbone = SwinConfig(
        image_size=SIZE,
        embed_dim=32,
        depths=[1, 1, 3, 1],
        num_heads=[2, 4, 4, 8],
        window_size=WINDOW,
        mlp_ratio=2.0,
        out_indices=[2, 3, 4],
        drop_path_rate=0.0,
    )
    text = BertConfig(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return GroundingDinoConfig(
        backbone_config=backbone,
        text_config=text,
        num_queries=20,
        encoder_layers=2,
        encoder_ffn_dim=128,
        encoder_attention_heads=4,
        decoder_layers=2,
        decoder_ffn_dim=128,
        decoder_attention_heads=4,
        d_model=64,
        dropout=0.0,
        fusion_droppath=0.0,
        auxiliary_loss=True,
        encoder_n_points=2,
        decoder_n_points=4,
        max_text_len=64,
    )


def build_model(seed: int = 0) -> "GroundingDinoForObjectDetection":
    """A fresh network, the same for the same seed, whose first scores are low: most tokens describe no query.

    The contrastive head has no bias. One channel of the features that it multiplies makes up for it: there the logit of
    a rare event is -RARE^2. The text's norm starts small, or the other channels would drown it.
    """
    from transformers import GroundingDinoForObjectDetection

    torch.manual_seed(seed)
    detector = GroundingDinoForObjectDetection(build_config())
    network = detector.model
    text_norm = network.encoder.layers[-1].text_enhancer_layer.layer_norm_after
    with torch.no_grad():
        text_norm.weight.fill_(TEXT_SCALE)
        for norm, bias in ((network.decoder.layer_norm, RARE), (network.enc_output_norm, RARE), (text_norm, -RARE)):
            norm.weight[0] = 0.0
            norm.bias[0] = bias
    return detector


def to_pixels(images: np.ndarray) -> Tensor:
    """uint8 [B, S, S, 3] -> normalised float32 [B, 3, S, S]."""
    pixels = torch.tensor(images).permute(0, 3, 1, 2) / 255
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def draw_scene(rng: np.random.Generator, sprites: Sprites) -> Scene:
    """A scene of a random kind, 128 pixels a side."""
    kind = KINDS[rng.choice(len(KINDS), p=[kind.share for kind in KINDS])]
    scene = scenes.compose(rng, sprites, kind.rendered, kind.count, kind.scale)
    return scene if kind.rendered == SIZE else scenes.resize(scene, SIZE)


def draw_batch(sprites: Sprites, size: int, *seed: int) -> list[Scene]:
    return [draw_scene(np.random.default_rng([*seed, index]), sprites) for index in range(size)]


class Aligner(nn.Module):
    """Stage one: the text-aligned backbone, with a learned feature for cells that show no sprite."""

    def __init__(self, detector: "GroundingDinoForObjectDetection", prompt: Prompts) -> None:
        super().__init__()
        network = detector.model
        self.backbone = network.backbone
        self.projections = network.input_proj_vision[: len(STRIDES)]
        self.text_backbone = network.text_backbone
        self.text_projection = network.text_projection
        self.ground = nn.Parameter(torch.zeros(1, detector.config.d_model))
        self._prompt = prompt

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """float [B, 3, S, S] -> per stride, logits [B, names + 1, S / stride, S / stride]; the last is the ground."""
        classes = torch.cat([self._name_features(), self.ground])
        mask = torch.ones(pixels.shape[0], *pixels.shape[2:], dtype=torch.long)
        sources, _ = self.backbone(pixels, mask)
        maps = [project(source) for project, (source, _) in zip(self.projections, sources, strict=True)]
        return [torch.einsum("bdhw,nd->bnhw", features, classes) / features.shape[1] ** 0.5 for features in maps]

    def _name_features(self) -> Tensor:
        from transformers.models.grounding_dino.modeling_grounding_dino import (
            SPECIAL_TOKENS,
            generate_masks_with_special_tokens_and_transfer_map,
        )

        ids = self._prompt.ids
        attention, positions = generate_masks_with_special_tokens_and_transfer_map(ids, torch.tensor(SPECIAL_TOKENS))
        encoded = self.text_backbone(ids, attention[:, None], torch.zeros_like(ids), positions).last_hidden_state
        tokens = self.text_projection(encoded)[0]
        return torch.stack([tokens[self._prompt.spans[0][name]].mean(dim=0) for name in NAMES])


def cell_labels(scene: Scene, stride: int) -> Tensor:
    """int64 [S / stride, S / stride]: the index in NAMES of the sprite at each cell's centre, or len(NAMES)."""
    labels = torch.full(scene.image.shape[:2], len(NAMES))
    for name, mask in zip(scene.names, scene.masks, strict=True):
        labels[torch.from_numpy(mask)] = NAMES.index(name)
    return labels[stride // 2 :: stride, stride // 2 :: stride]


def alignment_losses(aligner: Aligner, batch: list[Scene]) -> Mapping[str, Tensor]:
    """Cross entropy of the cells of each stride; ground, which most cells show, counts a fifth."""
    weights = torch.ones(len(NAMES) + 1)
    weights[-1] = 0.2
    logits = aligner(to_pixels(np.stack([scene.image for scene in batch])))
    losses = {}
    for stride, scores in zip(STRIDES, logits, strict=True):
        labels = torch.stack([cell_labels(scene, stride) for scene in batch])
        losses[f"stride{stride}"] = F.cross_entropy(scores, labels, weights)
    return losses


def detection_losses(
    detector: "GroundingDinoForObjectDetection", batch: list[Scene], prompts: Prompts, copies: int | None = None
) -> Mapping[str, Tensor]:
    """The set loss of every decoder layer, and of the encoder's proposals with several proposals per target.

    copies: queries per target of the decoder, see `Stage`.
    """
    pixels = to_pixels(np.stack([scene.image for scene in batch]))
    output = detector.model(pixels, prompts.ids, attention_mask=prompts.mask.long())
    length = prompts.ids.shape[1]
    targets = [_targets(scene, spans) for scene, spans in zip(batch, prompts.spans, strict=True)]
    proposals = output.enc_outputs_coord_logits.sigmoid()
    losses = {
        "proposals": set_loss(
            output.enc_outputs_class[..., :length], proposals, prompts.mask, targets, PROPOSALS_PER_TARGET
        )
    }
    reference = output.init_reference_points
    for index in range(detector.config.decoder_layers):
        hidden = output.intermediate_hidden_states[:, index]
        logits = detector.class_embed[index](hidden, output.encoder_last_hidden_state_text, prompts.mask)
        boxes = (detector.bbox_embed[index](hidden) + torch.special.logit(reference, eps=1e-5)).sigmoid()
        losses[f"layer{index}"] = set_loss(logits[..., :length], boxes, prompts.mask, targets, copies)
        reference = output.intermediate_reference_points[:, index]
    return losses


def _targets(scene: Scene, spans: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    named = [index for index, name in enumerate(scene.names) if name in spans]
    corners = torch.from_numpy(scene.boxes[named]) / scene.image.shape[0]
    boxes = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1)
    if not named:
        return boxes, torch.zeros(0, 0, dtype=torch.bool)
    return boxes, torch.stack([spans[scene.names[index]] for index in named])


def fit(
    detector: "GroundingDinoForObjectDetection",
    sprites: Sprites,
    vocabulary: list[str],
    runs: Path,
    align: Schedule = ALIGN,
    stages: Sequence[Stage] = (DETECT, *REFINE),
) -> None:
    """Train `detector` in place through all stages; checkpoints in `runs` are resumed."""
    aligner = Aligner(detector, encode([NAMES], vocabulary))
    train(
        aligner,
        lambda step: alignment_losses(aligner, draw_batch(sprites, ALIGN_BATCH, 1, step)),
        align,
        runs / "detector_align.pt",
    )

    def losses_at(step: int, stage: Stage, stream: int) -> Mapping[str, Tensor]:
        batch = draw_batch(sprites, DETECT_BATCH, stream, step)
        rng = np.random.default_rng([stream + 1, step])
        names = [choose_names(rng, scene.names, alone=stage.alone, present=stage.present) for scene in batch]
        return detection_losses(detector, batch, encode(names, vocabulary, rng), stage.copies)

    for index, stage in enumerate(stages):
        train(
            detector,
            partial(losses_at, stage=stage, stream=2 + 2 * index),
            stage.schedule,
            runs / f"detector_stage{index}.pt",
        )


def export(detector: "GroundingDinoForObjectDetection", vocabulary: list[str], folder: Path) -> None:
    """Write what `from_pretrained` reads: weights in half precision, configuration, tokenizer, image processor."""
    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True, exist_ok=True)
    detector.half().save_pretrained(folder)
    weights = folder / "model.safetensors"
    (window_index, *_) = (buffer for key, buffer in detector.named_buffers() if key.endswith("relative_position_index"))
    window_index = window_index.view(WINDOW**2, WINDOW**2)
    save_file(_complete_for_v4(load_file(weights), window_index), weights, metadata={"format": "pt"})
    weights.chmod(0o644)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    _write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": detector.config.max_text_len},
    )
    _write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "GroundingDinoImageProcessor",
            "size": {"shortest_edge": SIZE, "longest_edge": SIZE},
            "image_mean": MEAN,
            "image_std": STD,
        },
    )


def _complete_for_v4(weights: dict[str, Tensor], window_index: Tensor) -> dict[str, Tensor]:
    """What transformers 4.x stores and 5.x computes (the index of each Swin window), without the unused last norm."""
    kept = {key: value for key, value in weights.items() if ".swin.layernorm." not in key}
    tables = [key for key in kept if key.endswith("relative_position_bias_table")]
    indices = {table.replace("bias_table", "index"): window_index.clone() for table in tables}
    return kept | indices


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    arguments = read_arguments(__doc__, "emoji_detector")
    vocabulary = build_vocabulary(read_vocabulary(BERT_VOCABULARY))
    detector = build_model()
    fit(detector, scenes.load_sprites(arguments.data), vocabulary, arguments.runs)
    export(detector, vocabulary, arguments.output)


if __name__ == "__main__":
    main()
