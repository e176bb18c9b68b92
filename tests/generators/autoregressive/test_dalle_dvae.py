"""DALL-E's discrete VAE: against its reference, and from whole pickled modules."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import loading
from trilemma.models.generators.autoregressive import dalle_dvae
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

KIT = reference_kit.KIT / "dalle_dvae"


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dalle")
    for half in dalle_dvae.HALVES:
        weights = reference_kit.weights(reference_kit.case("dalle_dvae", f"golden_{half}"))
        torch.save(weights, folder / f"{half}.pkl")
        del weights
    return loading.load_generator(folder / "encoder.pkl")


def cropped(image: np.ndarray, side: int) -> torch.Tensor:
    """IMAGE [1, side, side, 3] as the published notebook prepares it: the shorter side to `side`, then the middle."""
    picture = Image.fromarray(image)
    share = side / min(picture.size)
    size = tuple(round(share * length) for length in picture.size)
    pixels = torch.from_numpy(np.array(picture.resize(size, Image.Resampling.LANCZOS))).float() / 255
    top, left = (round((length - side) / 2) for length in pixels.shape[:2])
    return pixels[None, top : top + side, left : left + side]


@torch.no_grad()
def test_the_encoder_is_the_references(generator):
    row = reference_kit.case("dalle_dvae", "golden_encoder")
    coder = generator.modules[0]
    pixels = torch.from_numpy(reference_kit.inputs(row)["x"])
    scores = coder.scores(generator.encode(pixels.permute(0, 2, 3, 1)).values)
    found = {"mapped": dalle_dvae.mapped(pixels), "z_logits": scores, "codes": scores.argmax(dim=1)}
    given = json.loads(str(reference_kit.inputs(row)["image_recipe"]))
    image = cropped(reference_kit.block_image(given["seed"], given["h"], given["w"]), given["target"])
    found["preprocessed_64"] = dalle_dvae.mapped(image.permute(0, 3, 1, 2))
    reference_kit.compare(row, found)
    margin = reference_kit.golden(row)["image_top2_margin"]
    codes = coder.codes(generator.encode(image).values).numpy()
    differs = codes != reference_kit.golden(row)["image_codes"]
    assert not differs[margin > 1e-4].any()


@torch.no_grad()
def test_the_decoder_is_the_references(generator):
    row = reference_kit.case("dalle_dvae", "golden_decoder")
    coder = generator.modules[0]
    vectors = coder.vectors(torch.from_numpy(reference_kit.inputs(row)["codes"]))
    reference_kit.compare(row, {"x_stats": coder.statistics(vectors), "x_rec": coder.restored(vectors)})


def test_it_is_what_was_published(generator):
    descriptor = generator.descriptor
    assert (descriptor.architecture, descriptor.height, descriptor.width) == (dalle_dvae.NAME, 256, 256)
    assert [file.name for file in generator.files] == ["encoder.pkl", "decoder.pkl"]
    entries = [reference_kit.manifest("dalle_dvae", f"manifest_{half}.json") for half in dalle_dvae.HALVES]
    assert descriptor.parameters == sum(int(np.prod(entry.shape)) for half in entries for entry in half)
    for half, each in zip(dalle_dvae.HALVES, entries, strict=True):
        tensors = {entry.name: torch.empty(entry.shape, device="meta") for entry in each}
        assert dalle_dvae.detect(Checkpoint(tensors, {}))
        assert dalle_dvae.half_of(tensors) == half


@pytest.mark.parametrize("chosen", dalle_dvae.HALVES)
@torch.no_grad()
def test_pickled_modules_are_read_as_data(tmp_path, chosen):
    """Of classes that are not installed here; whichever half is chosen, both are loaded."""
    for half in dalle_dvae.HALVES:
        shutil.copy(KIT / f"tiny_{half}_zip.pkl", tmp_path / f"{half}.pkl")
    coder = loading.load_generator(tmp_path / f"{chosen}.pkl").modules[0]
    pixels = np.random.default_rng(5).uniform(0.1, 0.9, (1, 3, 16, 16)).astype(np.float32)
    features = coder.encoder.trunk(coder.encoder.blocks["input"](torch.from_numpy(pixels)))
    structure = json.loads((KIT / "snapshot_pickle_structure.json").read_text())
    code = torch.full((1, 2, 2), 3)
    # The decoder's input is zeros but for one code.
    answers = {"encoder": coder.scores(features), "decoder": coder.statistics(coder.vectors(code))}
    for half, answer in answers.items():
        expected = structure[f"tiny_{half}_check"]
        assert list(answer.shape) == expected["shape"]
        assert_close(answer.flatten()[:8], torch.tensor(expected["first8"]))
        assert float(answer.abs().sum()) == pytest.approx(expected["abs_sum"], rel=1e-5)


def test_one_half_alone_names_the_other(tmp_path):
    shutil.copy(KIT / "tiny_encoder_zip.pkl", tmp_path / "encoder.pkl")
    with pytest.raises(BadCheckpoint, match=r"needs the decoder too.*decoder\.pkl"):
        loading.load_generator(tmp_path / "encoder.pkl")
    shutil.copy(KIT / "tiny_encoder_zip.pkl", tmp_path / "decoder.pkl")
    with pytest.raises(BadCheckpoint, match=r"decoder\.pkl is by its name the decoder, but it holds"):
        loading.load_generator(tmp_path / "encoder.pkl")


def test_halves_of_different_models_are_refused(tmp_path):
    torch.save(dalle_dvae.HalfNetwork("encoder", 3, 8, 8, 16, 1).state_dict(), tmp_path / "encoder.pt")
    torch.save(dalle_dvae.HalfNetwork("decoder", 12, 8, 8, 6, 1).state_dict(), tmp_path / "decoder.pt")
    with pytest.raises(BadCheckpoint, match="16 codes and the decoder 12"):
        loading.load_generator(tmp_path / "encoder.pt")
