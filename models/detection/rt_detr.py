"""RT-DETR v2 and D-FINE, in transformers' layout: fast networks that know the names in their configuration.

RT-DETR v2: Lv et al. 2024, arXiv:2407.17140; D-FINE: Peng et al. 2024, arXiv:2410.13842. Pictures are stretched to
the one size that the network was trained on.

Each layer of the decoder has heads of its own, which transformers 4 saves under the decoder's name alone; transformers
5 has them under two names, and calls all of them clones of the first, which published ones are not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from .. import closed_vocabulary, weights
from ..errors import BadCheckpoint, BadInput
from ..families import Family
from ..files.checkpoints import Checkpoint
from ..files.folders import read_json, write_json
from ..pictures.labels import bare
from ..random_weights import random_weights
from .base import Detector
from .caption_detector import Kind
from .caption_folders import PREPROCESSOR
from .heads import DECODER, HEAD, SHARE, distinct, spread
from .phrase_detector import Look, PhraseDetector
from .preprocessing import count_cells
from .pretrained import build, network_class
from .stretching import Input, read_input, resampling, stretched

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

RT_DETR_V2: Final = Kind("RT-DETR v2", "RTDetrV2ForObjectDetection", "4.49", "rt_detr_v2")
D_FINE: Final = Kind("D-FINE", "DFineForObjectDetection", "4.52", "d_fine")
FLOAT_BYTES: Final = 4


class ClosedDetector(PhraseDetector):
    """A network with one score for each of its names; phrases are looked up among them."""

    def __init__(self, kind: Kind, network: PreTrainedModel, seen: Input, identity: str) -> None:
        super().__init__(kind.name, network, identity)
        self.seen = seen
        labels = network.config.id2label
        self.class_names = tuple(str(labels[index]).replace("_", " ") for index in range(len(labels)))

    def ask(self, phrases: Sequence[str]) -> Look:
        """See `PhraseDetector.ask`."""
        columns = torch.tensor([self._column(phrase) for phrase in phrases])

        def look(pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            output = self.network(pixel_values=pixels)
            # Trained by another loss, classes compete, and the last one is nothing.
            focal = self.network.config.use_focal_loss
            scores = output.logits.sigmoid() if focal else output.logits.softmax(dim=-1)[..., :-1]
            return output.pred_boxes, scores[..., columns.to(scores.device)]

        return look

    def _column(self, phrase: str) -> int:
        wanted = bare(phrase)
        known = {bare(name): index for index, name in reversed(tuple(enumerate(self.class_names)))}
        for one in (wanted, wanted.removesuffix("s"), wanted.removesuffix("es")):
            if one in known:
                return known[one]
        nearest = ", ".join(closed_vocabulary.nearest(wanted, self.class_names))
        raise BadInput(
            f"prompt: {phrase!r} is none of the {len(self.class_names)} names that this {self.architecture} knows; "
            f"nearest: {nearest}. Ask for one of its names, or load a detector that reads any words, such as a "
            "Grounding DINO."
        )

    def pixels(self, images: torch.Tensor) -> torch.Tensor:
        """See `PhraseDetector.pixels`."""
        return stretched(images, self.seen)

    def memory_bytes(self, batch_size: int, height: int, width: int) -> int:
        """See `Detector.memory_bytes`."""
        area = self.seen.height * self.seen.width
        network = activations(self.network.config, self.seen.height, self.seen.width)
        return batch_size * (3 * area + max(resampling(self.seen, height), network)) * FLOAT_BYTES


def activations(config: PretrainedConfig, height: int, width: int) -> int:
    """Numbers alive at the peak, for one picture: in the backbone's first layers, whose norms make four copies; or in
    small networks in the decoder, by the samples of its deformable attention."""
    backbone, queries = config.backbone_config, config.num_queries
    half = 2 * backbone.stem_channels[1] if backbone.model_type == "hgnet_v2" else backbone.embedding_size
    first = backbone.stage_out_channels[0] if backbone.model_type == "hgnet_v2" else backbone.hidden_sizes[0]
    layers = height * width * (5 + 5 * max(half / 4, first / 16))
    points = config.decoder_n_points
    samples = sum(points) if isinstance(points, list) else points * config.num_feature_levels
    heads = config.decoder_attention_heads
    decoder = (
        5 * count_cells(height, width, config.feat_strides) * config.d_model
        + queries * ((3 * samples + 10) * config.d_model + 10 * heads * samples)
        + 2 * queries**2 * heads
    )
    return round(max(layers, decoder))


def load(kind: Kind, checkpoint: Checkpoint) -> ClosedDetector:
    """The detector of a folder.

    Raises:
        BadCheckpoint, CannotDo: as `pretrained.build` does; a backbone that would have to be fetched; a preprocessor
            that says what the detector does not know.
    """
    folder, config, tensors = checkpoint.path, checkpoint.config, checkpoint.tensors
    assert folder is not None
    network = network_class(kind.network, kind.since)
    if not isinstance(config.get("backbone_config"), Mapping):
        raise BadCheckpoint(
            f"{folder.name}: config.json only names its backbone ({config.get('backbone')!r}), which would have to be "
            "fetched; use a folder whose config.json holds a backbone_config."
        )
    # Every head is given under each of its names, so transformers has none to tie.
    given = {**config, "tie_word_embeddings": False}
    layers = {head[2] for name in tensors if (head := HEAD.fullmatch(name.removeprefix(DECODER)))}
    shared = dict.fromkeys(SHARE.values(), layers == {"0"})
    built = build(network, given, spread({**config, **shared}, tensors), folder.name)
    preprocessor = folder / PREPROCESSOR
    seen = read_input(read_json(preprocessor) if preprocessor.is_file() else {}, normalised=False)
    return ClosedDetector(kind, built, seen, weights.identity(distinct(tensors)))


SIZES: Final[dict[str, Any]] = {
    "d_model": 32,
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [16, 24, 32],
    "decoder_in_channels": [32, 32, 32],
    "encoder_ffn_dim": 48,
    "encoder_attention_heads": 4,
    "decoder_layers": 2,
    "decoder_ffn_dim": 48,
    "decoder_attention_heads": 4,
    "num_queries": 30,
    "id2label": {"0": "cat", "1": "dog", "2": "bird", "3": "traffic_light"},
}
RESNET: Final[dict[str, Any]] = {
    "model_type": "rt_detr_resnet",
    "embedding_size": 8,
    "hidden_sizes": [8, 16, 24, 32],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
    "out_indices": [2, 3, 4],
}
HGNET: Final[dict[str, Any]] = {
    "model_type": "hgnet_v2",
    "stem_channels": [3, 8, 8],
    "stage_in_channels": [8, 8, 16, 24],
    "stage_mid_channels": [8, 8, 8, 8],
    "stage_out_channels": [8, 16, 24, 32],
    "stage_num_blocks": [1, 1, 1, 1],
    "stage_downsample": [False, True, True, True],
    "stage_light_block": [False, False, True, True],
    "stage_kernel_size": [3, 3, 5, 5],
    "stage_numb_of_layers": [2, 2, 2, 2],
    "hidden_sizes": [8, 16, 24, 32],
    "depths": [1, 1, 1, 1],
    "embedding_size": 8,
    "out_indices": [2, 3, 4],
}
TINY_SIDE: Final = 64
CONSTANTS: Final = (".up", ".reg_scale", ".num_points_scale")
"""Of D-FINE and of deformable attention, which stand among the weights."""


def random_network(kind: Kind, seed: int = 7, **config: Any) -> PreTrainedModel:
    """A tiny network with random weights, each layer with heads of its own; `config` replaces entries."""
    network = network_class(kind.network, kind.since)
    backbone = HGNET if kind is D_FINE else RESNET
    given = json.loads(json.dumps({**SIZES, "backbone_config": backbone, "tie_word_embeddings": False, **config}))
    made = network(network.config_class.from_dict(given))
    constants = {name: value for name, value in made.state_dict().items() if name.endswith(CONSTANTS)}
    state = {**random_weights(made, seed), **constants}
    # Heads are the decoder's, which transformers 5 has twice.
    made.load_state_dict({name: state.get(DECODER + name, value) for name, value in state.items()})
    return made.train(False)


def write_tiny(kind: Kind, folder: Path) -> Path:
    """Write a `random_network` and its input size into a folder in this folder, and give it."""
    made = folder / "tiny"
    random_network(kind).save_pretrained(made)
    write_json(made / PREPROCESSOR, {"size": {"height": TINY_SIDE, "width": TINY_SIDE}})
    return made


def _family(kind: Kind) -> Family[Detector]:
    return Family(
        name=f"{kind.name} in transformers' layout",
        detect=lambda checkpoint: checkpoint.config.get("model_type") == kind.model_type,
        load=lambda checkpoint, dtype_for: load(kind, checkpoint),
        tiny=partial(write_tiny, kind),
    )


FOLDERS: Final = tuple(map(_family, (RT_DETR_V2, D_FINE)))
