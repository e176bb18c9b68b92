"""HQ-SAM against the reference implementation: ViT-B and the light one at full size under the kit's weights, read from
files in the published layout."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models.segmentation import hq_sam
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.mobile_sam import VIT_T
from trilemma.models.segmentation.prompts import Prompt
from trilemma.models.segmentation.sam import VIT_B, names
from trilemma.models.segmentation.sam.architecture import SamConfig, read_config, read_tiny_vit_config
from trilemma.tests import reference_kit
from trilemma.tests.segmentation import kit

pytestmark = pytest.mark.slow  # at 1024 pixels


@pytest.fixture(scope="module", params=["vit_b", "vit_tiny"])
def case(request):
    return reference_kit.case("hq_sam", f"golden_{request.param}")


@pytest.fixture(scope="module")
def segmenter(case, tmp_path_factory):
    return kit.load(case, tmp_path_factory.mktemp("hq_sam") / "sam_hq.pth")


@pytest.fixture(scope="module")
def embedding(segmenter):
    return segmenter.encode(kit.picture())


@pytest.fixture(scope="module")
def given(case):
    return kit.given(case)


def test_it_is_known(segmenter):
    assert segmenter.architecture == "HQ-SAM"


@torch.no_grad()
def test_embedding(case, segmenter, embedding):
    maps, early = segmenter.image_encoder.with_early(segmenter.preprocess(kit.picture()))
    reference_kit.compare(case, {"image_embedding": maps, "interm0": early.permute(0, 2, 3, 1)})
    assert torch.equal(maps, embedding.features[0])


@pytest.mark.parametrize("hq_only", [False, True], ids=["sum", "hq_only"])
@pytest.mark.parametrize(("name", "three"), [("box", False), ("point_multi", True)])
def test_the_finer_mask(case, segmenter, embedding, given, name, three, hq_only):
    prompt = Prompt(0, given["box"], ()) if name == "box" else Prompt(0, None, given["point"])
    logits, ious = segmenter.decode(embedding, 0, [prompt], three, hq_only=hq_only)
    kit.compare(case, segmenter, f"{name}.{'hq_only' if hq_only else 'sum'}", logits[0], ious[0])


def test_a_mask_refines_another(case, segmenter, embedding, given):
    """A box with points, and the box with the answer to that, through a tanh as the kit did."""
    logits, ious = segmenter.decode(embedding, 0, [Prompt(0, given["box"], given["points"])], three=False)
    kit.compare(case, segmenter, "box_points.sum", logits[0], ious[0])
    box = [Prompt(0, given["box"], ())]
    answer = segmenter.decode(embedding, 0, box, three=False, previous=logits.tanh())
    kit.compare(case, segmenter, "box_mask_input.sum", answer[0][0], answer[1][0])


def test_boxes_of_an_image_in_one_batch(case, segmenter, embedding, given):
    prompts = [Prompt(0, box, ()) for box in given["boxes"]]
    kit.compare(case, segmenter, "two_boxes", *segmenter.decode(embedding, 0, prompts, three=False))


@pytest.mark.parametrize(
    ("size", "width", "heads", "global_blocks"),
    [
        ("b", 768, 12, (2, 5, 8, 11)),
        ("l", 1024, 16, (5, 11, 17, 23)),
        ("h", 1280, 16, (7, 15, 23, 31)),
        ("tiny", None, None, None),
    ],
)
def test_every_key_of_the_published_files_is_accounted_for(size, width, heads, global_blocks):
    def network(published):
        if size == "tiny":
            config = read_tiny_vit_config(published, {})
            assert config == VIT_T
        else:
            config = read_config(published, {})
            assert (config.embed_dim, config.num_heads, config.global_blocks) == (width, heads, global_blocks)
            assert (config.image_size, config.window_size) == (1024, 14)
        return hq_sam.build(config)

    entries = reference_kit.manifest("hq_sam", f"manifest_vit_{size}.json")
    kit.assert_accounted_for(entries, network, classifier=size == "tiny")


def test_transformers_names_are_the_kits():
    """Name in the authors' file -> name in transformers' folder, by the kit."""
    told = json.loads((reference_kit.KIT / "hq_sam" / "hf_key_map.json").read_text())["map"]
    there = set(told.values())
    assert {names.in_authors_layout(name, there): name for name in there} == told


def test_a_transformers_folder_is_the_same_model(tmp_path):
    """Written by the kit's map of names, with the configuration as transformers writes it; small."""
    from transformers import SamHQConfig

    told = json.loads((reference_kit.KIT / "hq_sam" / "hf_key_map.json").read_text())["map"]
    path = hq_sam.tiny(tmp_path)
    expected = load_segmenter(path)
    # The small network has fewer layers in one MLP, and in the encoder, than the map.
    assert isinstance(expected.config, SamConfig) and expected.config != VIT_B
    there = {}
    for name, value in load_file(path).items():
        if ".iou_prediction_head.layers.1." in name:
            there[name.replace("layers.1", "proj_out")] = value
        else:
            there[told[name]] = value
    shared = there.pop("prompt_encoder.shared_embedding.positional_embedding")
    there["shared_image_embedding.positional_embedding"] = shared
    folder = tmp_path / "folder"
    folder.mkdir()
    save_file(there, folder / "model.safetensors")
    SamHQConfig(mask_decoder_config={"num_attention_heads": 2}).save_pretrained(folder)
    found = load_segmenter(folder)
    assert found.identity == expected.identity
    assert found.config == expected.config
