"""Files of AttnGAN, DM-GAN, DF-GAN and SSA-GAN with the text encoder and the dictionary beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from .... import weights
from ....errors import BadCheckpoint
from ....families import Family
from ....files import checkpoints
from ....files.checkpoints import Checkpoint
from ....random_weights import random_weights, write
from ....weights import DtypeFor, Tensors, empty_weights, full_precision
from . import attngan, companions, df_gan, dm_gan, ssa_gan, words
from .drawing import TextNetwork
from .generator import PromptGAN
from .stages import COUNTER, with_counters
from .text_encoder import TextEncoder, encoder_of

TINY_WORDS: Final = ("a", "red", "bird", "with", "white", "wings")
TINY_CAPTIONS: Final = ((1, 2, 3), (3, 4, 5, 6), (1, 3))
TINY_TEXT: Final = 8


class Architecture(NamedTuple):
    """signs: tensors that tell its files. network: of the sizes that `sizes` reads from the shapes of such a file.

    small, usual: sizes of the smallest, for tests, and of a published one. truncates: see `PromptGAN`.
    """

    name: str
    signs: tuple[str, ...]
    network: Callable[[Any], TextNetwork]
    sizes: Callable[[Tensors], Any]
    small: Any
    usual: Any
    truncates: bool = False


ARCHITECTURES: Final = (
    Architecture(
        "AttnGAN",
        ("h_net1.fc.0.weight", "h_net2.att.conv_context.weight"),
        attngan.AttnGAN,
        attngan.sizes_of,
        attngan.Sizes(5, TINY_TEXT, 6, 2, 2, 1),
        attngan.Sizes(100, 256, 100, 32, 3, 2),
    ),
    Architecture(
        "DM-GAN",
        ("h_net1.fc.0.weight", "h_net2.M_w.0.weight"),
        dm_gan.DMGAN,
        attngan.sizes_of,
        attngan.Sizes(5, TINY_TEXT, 6, 2, 2, 1),
        attngan.Sizes(100, 256, 100, 64, 3, 2),
    ),
    Architecture(
        "DF-GAN",
        ("fc.weight", "GBlocks.0.fuse1.affine0.fc_gamma.linear1.weight"),
        df_gan.DFGAN,
        df_gan.sizes_of,
        df_gan.Sizes(5, TINY_TEXT, (8, 8, 4)),
        df_gan.Sizes(100, 256, (256, 256, 256, 256, 128, 64, 32)),
        truncates=True,
    ),
    Architecture(
        "SSA-GAN",
        ("fc.weight", "conv_mask.0.weight", "block0.affine0.fc_gamma.linear1.weight"),
        ssa_gan.SSAGAN,
        ssa_gan.sizes_of,
        ssa_gan.Sizes(5, TINY_TEXT, 6, 4, (8, 8, 4)),
        ssa_gan.Sizes(100, 256, 256, 100, (512, 512, 512, 512, 512, 256, 128, 64)),
    ),
)


def load(architecture: Architecture, checkpoint: Checkpoint) -> PromptGAN:
    """Build the generator of a checkpoint with what lies beside it.

    Raises:
        MissingFile: text encoder or dictionary is not there.
        BadCheckpoint: a tensor is missing, unexpected, or of another shape, or the files do not belong together.
    """
    what = f"{checkpoint.name}, {architecture.name}"
    with empty_weights():
        network = architecture.network(architecture.sizes(checkpoint.tensors))
    weights.fill(network, with_counters(network, checkpoint.tensors), what)
    path = checkpoint.path or Path()
    encoder_file, dictionary_file = companions.find(path, what, companions.ENCODER, companions.DICTIONARY)
    encoder, encoded = _encoder(encoder_file)
    dictionary = words.read(dictionary_file)
    known = encoder.encoder.num_embeddings
    if known != len(dictionary.words) or 2 * encoder.rnn.hidden_size != network.text_dim:
        raise BadCheckpoint(
            f"{what}: it takes sentences of {network.text_dim} numbers, {encoder_file.name} makes "
            f"{2 * encoder.rnn.hidden_size} of {known} words, and {dictionary_file.name} numbers "
            f"{len(dictionary.words)}; take those of the data set that it was trained on."
        )
    named = {f"text_encoder.{name}": value for name, value in encoded.items()}
    identity = weights.identity({**checkpoint.tensors, **named})
    return PromptGAN(architecture.name, network, encoder, dictionary, identity, architecture.truncates)


def _encoder(path: Path) -> tuple[TextEncoder, Tensors]:
    what = f"{path.name}, DAMSM text encoder"
    tensors = checkpoints.read(path).tensors
    try:
        with empty_weights():
            encoder = encoder_of(tensors)
    except KeyError as error:
        raise BadCheckpoint(f"{what}: it lacks {error}; download it again, or choose another.") from error
    weights.fill(encoder, tensors, what)
    return encoder, tensors


def _tiny(architecture: Architecture, folder: Path) -> Path:
    words.write(folder / "captions.pickle", TINY_WORDS, TINY_CAPTIONS)
    encoder = TextEncoder(len(TINY_WORDS) + 1, 6, TINY_TEXT // 2)
    write(folder / "text_encoder.safetensors", random_weights(encoder))
    made = random_weights(architecture.network(architecture.small))
    return write(folder / "tiny.safetensors", {name: made[name] for name in made if not name.endswith(COUNTER)})


def _typical(architecture: Architecture) -> frozenset[str]:
    with empty_weights():
        return frozenset(architecture.network(architecture.usual).state_dict())


def _family(architecture: Architecture) -> Family[PromptGAN]:
    def claims(checkpoint: Checkpoint) -> bool:
        return all(name in checkpoint.tensors for name in architecture.signs)

    def build(checkpoint: Checkpoint, dtype_for: DtypeFor = full_precision) -> PromptGAN:
        return load(architecture, checkpoint)

    return Family(
        architecture.name,
        claims,
        build,
        lambda folder: _tiny(architecture, folder),
        companions.files_with_words,
        lambda: _typical(architecture),
    )


FAMILIES: Final = tuple(map(_family, ARCHITECTURES))
