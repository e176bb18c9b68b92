"""Files that lie beside a generator and belong to it: text encoder and dictionary, or embeddings of sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from ....errors import BadCheckpoint, MissingFile
from ....files.folders import weight_files

WEIGHTS: Final = (".pth", ".pt", ".bin", ".safetensors")
PICKLES: Final = (".pickle", ".pkl")


class Companion(NamedTuple):
    """what: it is. stem: of its name, whatever comes before and behind. endings: of its name. source: which file to
    get, and where."""

    what: str
    stem: str
    endings: tuple[str, ...]
    source: str


ENCODER: Final = Companion(
    "the text encoder",
    "text_encoder",
    WEIGHTS,
    "text_encoder200.pth for birds (8 MB) or text_encoder100.pth for COCO (35 MB), DAMSM of taoxugit/AttnGAN on GitHub "
    "(bird.zip, coco.zip)",
)
DICTIONARY: Final = Companion(
    "the dictionary",
    "captions",
    (*PICKLES, ".json"),
    "captions.pickle, or captions_DAMSM.pickle, of the same data set (birds: 1 MB, COCO: 20 MB), metadata of "
    "taoxugit/AttnGAN on GitHub",
)
EMBEDDINGS: Final = Companion(
    "the embeddings of sentences",
    "char-CNN-RNN-embeddings",
    PICKLES,
    "char-CNN-RNN-embeddings.pickle of the folder test (birds: 120 MB), metadata of hanzhanggit/StackGAN-v2 on GitHub",
)
FILENAMES: Final = Companion(
    "the names of the pictures",
    "filenames",
    PICKLES,
    "filenames.pickle of the same folder as the embeddings",
)


def found(path: Path, companion: Companion) -> list[Path]:
    """The files of this kind beside a model, sorted."""
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        return []
    return sorted(
        file
        for file in folder.iterdir()
        if companion.stem in file.name and file.suffix in companion.endings and file != path
    )


def find(path: Path, what: str, *companions: Companion) -> list[Path]:
    """One file of each kind.

    Raises:
        MissingFile: some are not there; names each of them, where it is published, and the folder.
        BadCheckpoint: there are several of one kind.
    """
    folder = path if path.is_dir() else path.parent
    files = {companion: found(path, companion) for companion in companions}
    missing = [f"{companion.what} ({companion.source})" for companion in companions if not files[companion]]
    if missing:
        raise MissingFile(f"{what}: beside it lacks {'; and '.join(missing)}. Put what is missing into {folder}.")
    for companion, there in files.items():
        if len(there) > 1:
            raise BadCheckpoint(
                f"{what}: {folder} holds several files that could be {companion.what} "
                f"({', '.join(file.name for file in there)}); give each model a folder of its own."
            )
    return [files[companion][0] for companion in companions]


def files_with_words(path: Path) -> tuple[Path, ...]:
    """Generator, text encoder and dictionary."""
    return (*weight_files(path), *found(path, ENCODER), *found(path, DICTIONARY))


def files_with_embeddings(path: Path) -> tuple[Path, ...]:
    """Generator, embeddings and names of pictures."""
    return (*weight_files(path), *found(path, EMBEDDINGS), *found(path, FILENAMES))
