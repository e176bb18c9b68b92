"""MobileSAM against the reference implementation: the published size under the kit's weights, read from a file in the
published layout."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models.errors import BadCheckpoint
from trilemma.models.segmentation import mobile_sam
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.mobile_sam import VIT_T
from trilemma.models.segmentation.prompts import Prompt
from trilemma.models.segmentation.sam import tiny_vit
from trilemma.models.segmentation.sam.architecture import build, read_tiny_vit_config
from trilemma.tests import reference_kit
from trilemma.tests.segmentation import kit

pytestmark = pytest.mark.slow  # at 1024 pixels


@pytest.fixture(scope="module")
def case():
    return reference_kit.case("mobile_sam")


@pytest.fixture(scope="module")
def segmenter(case, tmp_path_factory):
    return kit.load(case, tmp_path_factory.mktemp("mobile_sam") / "mobile_sam.pt")


@pytest.fixture(scope="module")
def embedding(segmenter):
    return segmenter.encode(kit.picture())


@pytest.fixture(scope="module")
def given(case):
    return kit.given(case)


def test_it_is_known(segmenter):
    assert segmenter.architecture == "MobileSAM"


def test_embedding(case, embedding):
    reference_kit.compare(case, {"image_embedding": embedding.features[0]})


@pytest.mark.parametrize(
    ("name", "with_box", "points", "three"),
    [
        ("box", True, "", False),
        ("box_multi", True, "", True),
        ("point_multi", False, "point", True),
        ("points_box", True, "points", False),
    ],
)
def test_prompts(case, segmenter, embedding, given, name, with_box, points, three):
    prompt = Prompt(0, given["box"] if with_box else None, given[points] if points else ())
    logits, ious = segmenter.decode(embedding, 0, [prompt], three)
    kit.compare(case, segmenter, name, logits[0], ious[0])


def test_a_box_with_the_mask_of_an_earlier_answer(case, segmenter, embedding, given):
    box = [Prompt(0, given["box"], ())]
    earlier, _ = segmenter.decode(embedding, 0, box, three=False)
    logits, ious = segmenter.decode(embedding, 0, box, three=False, previous=earlier)
    kit.compare(case, segmenter, "box_mask_input", logits[0], ious[0])


def test_boxes_of_an_image_in_one_batch(case, segmenter, embedding, given):
    prompts = [Prompt(0, box, ()) for box in given["boxes"]]
    kit.compare(case, segmenter, "two_boxes", *segmenter.decode(embedding, 0, prompts, three=False))


def test_every_key_of_the_published_file_is_accounted_for():
    def network(published):
        config = read_tiny_vit_config(published, {})
        assert config == VIT_T
        return build(config)

    kit.assert_accounted_for(reference_kit.manifest("mobile_sam"), network, classifier=True)


def test_a_file_may_lack_its_classifier(tmp_path):
    """All of it: what lacks a part is damaged."""
    path = mobile_sam.tiny(tmp_path)
    tensors = load_file(path)
    metadata = {"trilemma": '{"image_size": 128, "decoder_num_heads": 2}'}
    rest = {name: value for name, value in tensors.items() if name not in tiny_vit.CLASSIFIER}
    save_file(rest, tmp_path / "rest.safetensors", metadata)
    whole, without = load_segmenter(path), load_segmenter(tmp_path / "rest.safetensors")
    for ours, theirs in zip(whole.modules, without.modules, strict=True):
        assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))
    tensors.pop("image_encoder.norm_head.bias")
    save_file(tensors, tmp_path / "part.safetensors", metadata)
    with pytest.raises(BadCheckpoint, match=r"MobileSAM: .*1 missing \(image_encoder\.norm_head\.bias\)"):
        load_segmenter(tmp_path / "part.safetensors")
