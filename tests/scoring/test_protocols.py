"""Names of the literature: what they fix, that they set it, and that they refuse what differs."""

import math
from dataclasses import replace

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.scoring import taken_by
from trilemma.models.scoring.evaluation import Settings, score
from trilemma.models.scoring.extractors.base import Answers, Source
from trilemma.models.scoring.extractors.host_extractor import HostExtractor
from trilemma.models.scoring.extractors.resizes import resize
from trilemma.models.scoring.features.feature_set import Accumulator
from trilemma.models.scoring.headings import heading
from trilemma.models.scoring.metric import METRICS
from trilemma.models.scoring.metrics.kernel import kernel_distance
from trilemma.models.scoring.protocols import CHOICES, PROTOCOLS, check_plan, check_scores
from trilemma.models.scoring.scores import Score
from trilemma.nodes import NODE_CLASS_MAPPINGS

CMMD = PROTOCOLS["CMMD"]


def source_of(protocol, **changes):
    """As its extractor tells it, but for some parts."""
    setup = {**protocol.setup, **changes}
    return Source(setup["model"], "00000000", changes.get("resize", protocol.resize), setup)


def features(source, count, seed=0, rows=None, size=8, classes=0, taps=("main",)):
    drawn = torch.randn(count, size, generator=torch.Generator().manual_seed(seed))
    accumulator = Accumulator(source, dict.fromkeys(taps, size), classes, count if rows is None else rows)
    logs = torch.zeros(count, classes).log_softmax(dim=1) if classes else None
    accumulator.add(torch.arange(count) + 10**6 * seed, torch.arange(count), Answers((drawn,) * len(taps), logs))
    return accumulator.features(f"set {seed}")


def test_every_one_has_another_identity_and_metrics_that_there_are():
    assert len({each.identity for each in PROTOCOLS.values()}) == len(PROTOCOLS)
    assert all(metric in METRICS for each in PROTOCOLS.values() for metric in each.metrics)
    changed = replace(CMMD, setup={**CMMD.setup, "std": "1 1 1"})
    assert changed.identity != CMMD.identity
    for node in ("TrilemmaScore", "TrilemmaBenchmarkGenerator", "TrilemmaSweep"):
        assert NODE_CLASS_MAPPINGS[node].INPUT_TYPES()["optional"]["protocol"][0] == list(CHOICES)


def test_cmmd_is_taken_and_named():
    ours, real = (features(source_of(CMMD), 60, seed) for seed in (0, 1))
    found = score(ours, real, Settings(protocol="CMMD", subsets_seed=3))
    assert [each.metric for each in found.scores] == ["cmmd"]
    unit = [each.rows.values.double() / each.rows.values.double().norm(dim=1, keepdim=True) for each in (ours, real)]
    assert found.value("cmmd") == pytest.approx(1000 * kernel_distance(*unit, "gaussian", biased=True))
    assert found.provenance["protocol"]["identity"] == CMMD.identity
    assert heading(found.provenance).startswith("protocol CMMD, ")
    assert taken_by.taken_by(found.provenance)["protocol_identity"] == CMMD.identity
    assert "cmmd" not in [each.metric for each in score(ours, real).scores]
    # Nothing of it looks at held-out images, and rows with and without them are taken in one way.
    beside = score(ours, real, Settings(protocol="CMMD", subsets_seed=3), held_out=features(source_of(CMMD), 60, 2))
    assert taken_by.key_of(beside.provenance) == taken_by.key_of(found.provenance)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("part", ["resize", "side", "layer", "mean", "std", "values", "model"])
def test_every_part_that_differs_is_named(name, part):
    protocol = PROTOCOLS[name]
    if part != "resize" and part not in protocol.setup:
        return
    counts = (protocol.samples or 10, protocol.rows or 10)
    check_plan(protocol, source_of(protocol), *counts)
    with pytest.raises(BadInput, match=rf"not {name}: {part} is other, not "):
        check_plan(protocol, source_of(protocol, **{part: "other"}), *counts)


def test_counts_that_differ_are_named_all_at_once():
    protocol = PROTOCOLS["MIND-5k"]
    few = features(source_of(protocol), 30, rows=10), features(source_of(protocol), 40, 1)
    told = "generated set has 30 images, not 5,000; 10 rows of the generated set were kept, not 30; the reference set"
    with pytest.raises(BadInput, match=told):
        score(*few, Settings(protocol="MIND-5k"))
    with pytest.raises(BadInput, match="side is not told, not 336"):
        bare = Source(**{**vars(source_of(CMMD)), "setup": {}})
        score(features(bare, 9), features(bare, 9, 1), Settings(protocol="CMMD"))


def test_adm_takes_its_own_neighbours_and_asks_for_every_metric():
    protocol = PROTOCOLS["ADM-50k"]
    settings = protocol.settings_with(7)
    assert (settings.nearest_k, settings.neighbourhood, settings.subsets_seed) == (3, "closed", 7)
    taken = tuple(Score(metric, 1.0) for metric in protocol.metrics)
    check_scores(protocol, taken)
    with pytest.raises(BadInput, match="sfid was not taken"):
        check_scores(protocol, tuple(each for each in taken if each.metric != "sfid"))
    with pytest.raises(BadInput, match=r"inception_score was not taken \(no classes\)"):
        check_scores(protocol, (*taken[:1], Score("inception_score", math.nan, note="no classes"), *taken[2:]))


def test_an_extractor_of_the_host_tells_what_it_is():
    setup = {**CMMD.setup}
    extractor = HostExtractor("CLIP vision", "0", 336, 768, lambda x: x, lambda n: n, setup).with_resize("bicubic")
    check_plan(CMMD, extractor.source, 10, 10)
    # ComfyUI's DINOv2 looks at 518 pixels.
    large = HostExtractor("DINOv2 vision", "0", 518, 1024, lambda x: x, lambda n: n, PROTOCOLS["FD-DINOv2"].setup)
    with pytest.raises(BadInput, match="side is 518, not 224; resize is TF1, not Pillow"):
        check_plan(PROTOCOLS["FD-DINOv2"], large.source, 10, 10)


@pytest.mark.slow
def test_the_resizes_are_those_of_the_reference_code():
    from PIL import Image
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import resize as torchvision_resize

    images = torch.randint(0, 256, (2, 37, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pictures = [Image.fromarray(image.numpy()) for image in images]
    ours = resize(images, 24, "Pillow")
    for mine, picture in zip(ours, pictures, strict=True):
        theirs = torchvision_resize(picture, [24, 24], InterpolationMode.BICUBIC)
        assert torch.equal(mine, torch.tensor(list(theirs.getdata())).view(24, 24, 3).movedim(-1, 0).float())
    plain = torch.nn.functional.interpolate(images.movedim(-1, 1) / 255, (24, 24), mode="bicubic")
    assert torch.allclose(resize(images, 24, "bicubic"), 255 * plain.clamp(0, 1), atol=1e-3)
