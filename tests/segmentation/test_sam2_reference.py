"""SAM 2.1 against the reference implementation: the full-size tiny model under the kit's weights, read from files in
both published layouts."""

import json

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models import weights
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.prompts import Prompt
from trilemma.models.segmentation.sam2 import names
from trilemma.models.segmentation.sam2.architecture import PUBLISHED, build, from_shapes
from trilemma.tests import reference_kit
from trilemma.tests.segmentation import kit

pytestmark = pytest.mark.slow  # at 1024 pixels
ONLY_IN_2_1 = {"no_obj_embed_spatial", "obj_ptr_tpos_proj.weight", "obj_ptr_tpos_proj.bias"}


@pytest.fixture(scope="module")
def case():
    return reference_kit.case("sam2", "golden_2.1_tiny")


@pytest.fixture(scope="module")
def published(case):
    return reference_kit.weights(case)


@pytest.fixture(scope="module")
def segmenter(published, tmp_path_factory):
    path = tmp_path_factory.mktemp("sam2") / "sam2.1_hiera_tiny.pt"
    torch.save({"model": published}, path)
    loaded = load_segmenter(path)
    path.unlink()
    return loaded


@pytest.fixture(scope="module")
def images():
    return kit.picture()


@pytest.fixture(scope="module")
def embedding(segmenter, images):
    return segmenter.encode(images)


@pytest.fixture(scope="module")
def given(case):
    return kit.given(case)


def compare(case, segmenter, name, logits, ious):
    # The reference hands logits on within +-32, after it has enlarged them.
    kit.compare(case, segmenter, name, logits, ious, within=32)


def test_preprocessing(case, segmenter, images):
    reference_kit.compare(case, {"pixel_values": segmenter.preprocess(images)[0]}, atol=1e-6, rtol=1e-6)


def test_embedding(case, embedding):
    answers = dict(zip(("image_embed", "high_res0", "high_res1"), embedding.features, strict=True))
    reference_kit.compare(case, answers)


@pytest.mark.parametrize(
    ("name", "with_box", "points", "three"),
    [
        ("box", True, "", False),
        ("box_multi", True, "", True),
        ("point_multi", False, "point", True),
        ("point_single", False, "point", False),
        ("points_box", True, "points", False),
    ],
)
def test_prompts(case, segmenter, embedding, given, name, with_box, points, three):
    prompt = Prompt(0, given["box"] if with_box else None, given[points] if points else ())
    logits, ious = segmenter.decode(embedding, 0, [prompt], three)
    compare(case, segmenter, name, logits[0], ious[0])


def test_a_box_with_the_mask_of_an_earlier_answer(case, segmenter, embedding, given):
    box = [Prompt(0, given["box"], ())]
    earlier, _ = segmenter.decode(embedding, 0, box, three=False)
    logits, ious = segmenter.decode(embedding, 0, box, three=False, previous=earlier)
    compare(case, segmenter, "box_mask_input", logits[0], ious[0])


def test_boxes_of_an_image_in_one_batch(case, segmenter, embedding, given):
    prompts = [Prompt(0, box, ()) for box in given["boxes"]]
    compare(case, segmenter, "two_boxes", *segmenter.decode(embedding, 0, prompts, three=False))


@pytest.fixture(scope="module")
def key_map():
    """Name in Meta's file -> names in transformers' folder, by the kit."""
    told = json.loads((reference_kit.KIT / "sam2" / "hf_key_map.json").read_text())["map"]
    return {name: [there] if isinstance(there, str) else there for name, there in told.items()}


def test_a_transformers_folder_is_the_same_model(segmenter, published, key_map, tmp_path):
    """Written by the kit's map of names, with the configuration as transformers writes it."""
    from transformers import Sam2Config

    there = {name: published[meta] for meta, found in key_map.items() for name in found or ()}
    rows = [there.pop(f"{names.STACKED}[{row}]") for row in range(4)]
    there = {name: value.clone() for name, value in there.items()}
    save_file({**there, names.STACKED: torch.cat(rows)}, tmp_path / "model.safetensors")
    Sam2Config().save_pretrained(tmp_path)
    found = load_segmenter(tmp_path)
    assert found.config == segmenter.config
    assert found.identity == segmenter.identity
    for ours, theirs in zip(found.modules, segmenter.modules, strict=True):
        state = theirs.state_dict()
        assert ours.state_dict().keys() == state.keys()
        assert all(torch.equal(value, state[name]) for name, value in ours.state_dict().items())


def test_names_for_videos_are_the_kits(key_map):
    assert {name for name, there in key_map.items() if there is None} == names.META_VIDEO


@pytest.mark.parametrize("only_in_2_1", [frozenset(), ONLY_IN_2_1], ids=["2.1", "2.0"])
@pytest.mark.parametrize("size", PUBLISHED)
def test_every_key_of_the_published_files_is_accounted_for(size, only_in_2_1):
    entries = reference_kit.manifest("sam2", f"manifest_2.1_hiera_{size}.json")
    found = {entry.name: torch.empty(entry.shape, device="meta") for entry in entries if entry.name not in only_in_2_1}
    config = from_shapes(found, size)
    assert config == PUBLISHED[size]
    expected = {names.in_meta_layout(name): value.shape for name, value in build(config).state_dict().items()}
    weights.check_fit(expected, {name: value for name, value in found.items() if name not in names.META_VIDEO}, size)
    assert names.META_VIDEO - found.keys() == only_in_2_1
