"""VGG-16 against torchvision's classes, live and small, fed as torch-fidelity feeds it; its files, and its protocol."""

import numpy as np
import pytest
import torch
from torch import nn
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.scoring.evaluation import Settings, score
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.extractors.resizes import tensorflow
from trilemma.models.scoring.extractors.vgg import ITS, PUBLISHED, VGG, VGG_16
from trilemma.models.scoring.protocols import PROTOCOLS, check_plan
from trilemma.models.segmentation.loading import SEGMENTERS
from trilemma.models.weights import empty_weights
from trilemma.tests import reference_kit
from trilemma.tests.scoring.test_protocols import features, source_of

pytestmark = pytest.mark.slow

PRC = PROTOCOLS["torch-fidelity PRC"]
WIDTHS = (4, 6, 8, 8, 10, 10, 12, 12, 12, 14, 14, 14, 16)


def torchvisions(widths=WIDTHS, dense=(24, 20), classes=10):
    """torchvision's own class, but for its widths."""
    from torchvision.models import vgg

    row = [*widths[:2], "M", *widths[2:4], "M", *widths[4:7], "M", *widths[7:10], "M", *widths[10:], "M"]
    with empty_weights():
        model = vgg.VGG(nn.Sequential(), init_weights=False)
    torch.manual_seed(0)
    model.features = vgg.make_layers(row)
    model.classifier = nn.Sequential(
        nn.Linear(49 * widths[-1], dense[0]), nn.ReLU(True), nn.Dropout(),
        nn.Linear(*dense), nn.ReLU(True), nn.Dropout(), nn.Linear(dense[1], classes),
    )  # fmt: skip
    with torch.no_grad():
        for value in model.parameters():
            value.normal_(std=(2 / value.shape[1:].numel()) ** 0.5 if value.ndim > 1 else 0.1)
    return model.eval()


def pictures():
    return torch.from_numpy(np.stack([reference_kit.block_image(seed, 90, 130) for seed in (1, 2)]))


def test_features_are_torchvisions_fed_as_torch_fidelity_feeds_them(tmp_path):
    from torchvision.transforms.functional import normalize

    model = torchvisions()
    torch.save(model.state_dict(), tmp_path / "vgg16-397923af.pth")
    extractor = EXTRACTORS.load(tmp_path / "vgg16-397923af.pth")
    assert (extractor.name, extractor.taps, extractor.classes) == ("VGG-16 (20 features)", {"fc2": 20}, 10)
    mean, std = ([255 * value for value in values] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        answers = extractor.extract(extractor.prepare(pictures()), ("fc2",))
        pixels = normalize(tensorflow(pictures(), 224), mean, std)
        logits = model(pixels)
        # torch-fidelity deletes the tail of the classifier, and takes fc2 behind a ReLU.
        fc2 = torch.relu(model.classifier[:4](model.avgpool(model.features(pixels)).flatten(1)))
    assert (answers.taps[0] > 0).any() and (answers.taps[0] == 0).any()
    torch.testing.assert_close(answers.taps[0], fc2, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(answers.log_probabilities, logits.log_softmax(dim=1), rtol=1e-4, atol=1e-5)


def test_the_published_file_fits():
    from torchvision.models import vgg16

    with empty_weights():
        theirs = {name: value.shape for name, value in vgg16(init_weights=False).state_dict().items()}
    with empty_weights():
        assert {name: value.shape for name, value in VGG(PUBLISHED).state_dict().items()} == theirs
    assert theirs.keys() >= set(ITS)


@pytest.mark.parametrize("kind", ["vgg19", "vgg13", "vgg16_bn"])
def test_its_kin_are_refused(kind, tmp_path):
    from torchvision import models

    with empty_weights():
        names = getattr(models, kind)(init_weights=False).state_dict()
    torch.save({name: torch.zeros(1) for name in names}, tmp_path / "file.pth")
    with pytest.raises(BadCheckpoint, match=r"file\.pth.*extractor"):
        EXTRACTORS.load(tmp_path / "file.pth")


def test_other_loaders_say_where_it_belongs(tmp_path):
    with pytest.raises(
        BadCheckpoint, match="holds a VGG-16 of torchvision, or its kin; it belongs into models/metrics"
    ):
        SEGMENTERS.load(VGG_16.tiny(tmp_path))
    names = [f"layers.conv{place}.weight" for place in range(1, 14)] + ["layers.fc1.weight", "layers.fc2.weight"]
    torch.save({name: torch.zeros(1) for name in names}, tmp_path / "nvidia.pth")
    with pytest.raises(BadCheckpoint, match=r"NVIDIA's metrics; what it is fed stands in its program.*vgg16-397923af"):
        EXTRACTORS.load(tmp_path / "nvidia.pth")


def test_sizes_that_do_not_fit_each_other_are_named(tmp_path):
    state = torchvisions().state_dict()
    state["classifier.3.weight"] = torch.zeros(20, 25)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(BadCheckpoint, match=r"classifier\.3\.weight \(20, 25\) instead of \(20, 24\)"):
        EXTRACTORS.load(tmp_path / "a.pth")


def test_precision_and_recall_are_called_by_their_protocol():
    """torch-fidelity's arithmetic: balls to the third nearest, their surface too."""
    ours, real = (features(source_of(PRC), 60, seed, size=4) for seed in (0, 1))
    found = score(ours, real, Settings(protocol=PRC.name))
    assert [each.metric for each in found.scores] == ["precision", "recall"]
    fake, true = (each.rows.values.double() for each in (ours, real))
    for (inner, outer), metric in (((fake, true), "precision"), ((true, fake), "recall")):
        radii = torch.cdist(outer, outer).kthvalue(4).values
        expected = (torch.cdist(inner, outer) <= radii).any(dim=1).double().mean()
        assert found.value(metric) == pytest.approx(float(expected))


def test_another_size_is_refused_under_its_name(tmp_path):
    extractor = EXTRACTORS.load(VGG_16.tiny(tmp_path))
    with pytest.raises(BadInput, match=r"model is VGG-16 \(12 features\), not VGG-16; features is 12, not 4096"):
        check_plan(PRC, extractor.source, 10, 10)
