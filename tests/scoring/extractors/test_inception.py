"""Inception-v3 against the reference kit: every tap, each library's variant; files that are others."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.scoring.extractors.base import chosen_taps
from trilemma.models.scoring.extractors.inception import InceptionExtractor, inception_of
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.tests import reference_kit
from trilemma.tests.scoring.extractors.test_resizes import kit_images

pytestmark = pytest.mark.slow

KIT = reference_kit.case("inception_fid")
TAPS = ("2048", "64", "192", "768")


@pytest.fixture(scope="module")
def weights():
    return reference_kit.weights(KIT)


@pytest.fixture(scope="module")
def extractor(weights, tmp_path_factory):
    """Of a file in the published layout, with the kit's weights."""
    file = tmp_path_factory.mktemp("metrics") / "pt_inception-2015-12-05-6726825d.pth"
    torch.save(weights, file)
    return EXTRACTORS.load(file)


def variant(extractor, resize):
    return extractor.with_resize(resize)


def features(extractor, images, taps=("2048",)):
    with torch.inference_mode():
        return extractor.extract(extractor.prepare(images), taps)


def test_what_it_says_of_itself(extractor):
    assert extractor.source.extractor == "Inception-v3 (FID)"
    assert extractor.source.resize == "TF1"
    assert extractor.classes == 1008
    assert chosen_taps(extractor) == ("2048",)
    assert chosen_taps(extractor, sfid=True, compound_fid=True) == ("2048", "spatial", "64", "192")
    assert variant(extractor, "clean").source == replace(extractor.source, resize="clean")


@pytest.mark.parametrize("size", ["48x37", "299x299", "301x417"])
def test_all_taps_and_probabilities_are_torch_fidelitys(extractor, size):
    answers = features(extractor, kit_images(size), TAPS)
    reference_kit.compare(KIT, {f"{size}.{tap}": values for tap, values in zip(TAPS, answers.taps, strict=True)}, 1e-5)
    assert answers.log_probabilities.shape[1] == 1008
    (network,) = extractor.modules
    logits = answers.taps[0] @ network.fc.weight.T
    reference_kit.compare(KIT, {f"{size}.logits_unbiased": logits}, 1e-5)
    torch.testing.assert_close(answers.log_probabilities, logits.log_softmax(dim=1), rtol=0, atol=1e-5)


def test_other_libraries_variants(extractor):
    """pytorch-fid's taps and torchmetrics' default, which are not torch-fidelity's."""
    size = "301x417"
    images = kit_images(size)
    theirs = features(variant(extractor, "pytorch-fid"), images, TAPS).taps
    named = {f"{size}.pytorch_fid.{tap}": values for tap, values in zip(TAPS, theirs, strict=True)}
    antialiased = features(variant(extractor, "torchmetrics"), images).taps[0]
    reference_kit.compare(KIT, {**named, f"{size}.torchmetrics_antialias_True.2048": antialiased}, 1e-5)
    ours = features(extractor, images).taps[0]
    assert 0.005 < (theirs[0] - ours).abs().max() < 0.02
    assert 0.02 < (antialiased - ours).abs().max() < 0.1


def test_the_spatial_tap_is_the_first_branch_of_mixed_6d(extractor):
    """Seven channels of 17 x 17 pixels, pixel by pixel, as guided-diffusion flattens TensorFlow's arrays."""
    (network,) = extractor.modules
    seen = []
    hook = network.Mixed_6d.branch1x1.register_forward_hook(lambda module, given, result: seen.append(result))
    (spatial,) = features(extractor, kit_images("299x299"), ("spatial",)).taps
    hook.remove()
    assert spatial.shape == (1, 2023)
    assert spatial.view(17, 17, 7)[3, 5, 6] == seen[0][0, 6, 3, 5]
    assert torch.equal(spatial.view(17, 17, 7), seen[0][0, :7].permute(1, 2, 0))


def test_layouts_of_the_published_file(extractor, weights):
    """With the counters of batch norms, or without, one network; other values, another one."""
    counters = {
        entry.name: torch.tensor(7) for entry in reference_kit.manifest("inception_fid") if "int" in entry.dtype
    }

    def identity(tensors):
        return InceptionExtractor(inception_of(Checkpoint(tensors, {}))).identity

    assert identity({**weights, **counters}) == extractor.source.identity
    name = "Mixed_7c.branch_pool.bn.bias"
    assert identity({**weights, name: weights[name] + 1e-4}) != extractor.source.identity


def read_as(tensors):
    return inception_of(Checkpoint(tensors, {}, path=Path("a.pth")))


def test_inceptions_that_are_others():
    published = {
        entry.name: torch.empty(entry.shape, device="meta") for entry in reference_kit.manifest("inception_fid")
    }
    torchvisions = {**published, "AuxLogits.fc.bias": torch.zeros(1000)}
    with pytest.raises(BadCheckpoint, match=r"a.pth, the Inception-v3 of FID: .* 1 unexpected \(AuxLogits"):
        read_as(torchvisions)
    retrained = {**published, "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    with pytest.raises(BadCheckpoint, match=r"a\.pth is an Inception-v3 trained for 1000 classes.* of 2015.*pt_inc"):
        read_as(retrained)
    with pytest.raises(BadCheckpoint, match=r"1 missing \(fc\.bias\)"):
        read_as({key: value for key, value in published.items() if key != "fc.bias"})


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ("image_encoder.patch_embed.proj.weight", "mask_decoder.iou_token.weight"),
            r"a Segment Anything \(SAM\) segm",
        ),
        (("vision_model.embeddings.class_embedding",), "a CLIP vision model, which Load CLIP Vision loads"),
        (("features.0.weight", "classifier.6.weight"), "an AlexNet or VGG, which LPIPS uses"),
    ],
)
def test_files_of_other_networks(names, said, tmp_path):
    torch.save({name: torch.zeros(1) for name in names}, tmp_path / "file.pth")
    with pytest.raises(BadCheckpoint, match=rf"file\.pth holds {said}.* the pack reads these extractors: Incep"):
        EXTRACTORS.load(tmp_path / "file.pth")


def test_resizes_that_there_are_not(extractor):
    with pytest.raises(BadInput, match="resize: there is no 'bilinear'; choose one of TF1, clean"):
        extractor.with_resize("bilinear")
