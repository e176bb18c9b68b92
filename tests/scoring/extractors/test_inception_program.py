"""NVIDIA's TorchScript Inception, as a program of the same names that is made here: read as data, nothing run."""

import pytest
import torch
from torch import nn
from trilemma.models.errors import BadCheckpoint
from trilemma.models.scoring.extractors.inception import InceptionExtractor, inception_of
from trilemma.models.scoring.extractors.inception_program import DENSE, LAYERS
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.segmentation.loading import SEGMENTERS
from trilemma.tests import reference_kit

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")]

KINDS = {
    "functional": {"conv.weight": "weight", "bn.bias": "beta", "bn.running_mean": "mean", "bn.running_var": "var"},
    "modules": {
        "conv.weight": "conv.weight",
        "bn.bias": "bn.bias",
        "bn.running_mean": "bn.running_mean",
        "bn.running_var": "bn.running_var",
    },
}
"""How the tensors of a convolution may be called."""


@pytest.fixture(scope="module")
def weights():
    """The kit's by our names, their batch norms without factors, as TensorFlow's graph has none."""
    found = reference_kit.weights(reference_kit.case("inception_fid"))
    return {name: torch.ones_like(value) if name.endswith("bn.weight") else value for name, value in found.items()}


def levels(name):
    """A layer's name with the levels that NVIDIA's modules have."""
    block, _, rest = name.removeprefix("layers_").partition("_tower")
    if not rest:
        head, found, last = name.removeprefix("layers_").partition("_conv")
        return ["layers", *([head, f"conv{last}"] if found and head.startswith("mixed") else [f"{head}{found}{last}"])]
    tower, _, conv = f"tower{rest}".partition("_mixed_conv")
    if "_mixed_conv" in rest:
        return ["layers", block, tower, "mixed", f"conv{conv}"]
    tower, _, conv = f"tower{rest}".partition("_conv")
    return ["layers", block, tower, f"conv{conv}"]


def program_names(weights, kind):
    named = {f"{DENSE}.weight": weights["fc.weight"], f"{DENSE}.bias": weights["fc.bias"]}
    for theirs, ours in LAYERS.items():
        for part, called in KINDS[kind].items():
            named[".".join([*levels(theirs), called])] = weights[f"{ours}.{part}"]
    return named


class Program(nn.Module):
    """Modules of these tensors; what it computes is nothing."""

    def __init__(self, tensors):
        super().__init__()
        for name, value in tensors.items():
            module = self
            *path, last = name.split(".")
            for level in path:
                if not hasattr(module, level):
                    module.add_module(level, nn.Module())
                module = getattr(module, level)
            module.register_buffer(last, value)

    def forward(self, images):
        return images + self.output.bias[0]


def saved(tensors, path):
    torch.jit.trace(Program(tensors).eval(), torch.zeros(1)).save(path)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_network_of_the_published_file(kind, weights, tmp_path):
    named = program_names(weights, kind)
    assert {
        "layers.conv_4",
        "layers.mixed_9.tower_1.mixed.conv_1",
        "layers.mixed.conv",
        "layers.mixed_8.tower.conv_1",
    } <= {name.removesuffix(f".{called}") for name in named for called in KINDS[kind].values()}
    extractor = EXTRACTORS.load(saved(named, tmp_path / "inception-2015-12-05.pt"))
    assert "took the weights of a TorchScript program as data; its code was not run" in extractor.notes
    assert extractor.identity == InceptionExtractor(inception_of(checkpoint(weights))).identity
    for name, value in extractor.network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, weights[name]), name


def checkpoint(tensors):
    from trilemma.models.files.checkpoints import Checkpoint

    return Checkpoint(tensors, {})


def refused(weights, change, tmp_path):
    named = program_names(weights, "functional")
    change(named)
    torch.save(named, tmp_path / "inception-2015-12-05.pt")
    with pytest.raises(BadCheckpoint) as raised:
        EXTRACTORS.load(tmp_path / "inception-2015-12-05.pt")
    return str(raised.value)


def test_what_does_not_fit_exactly_once_is_refused(weights, tmp_path):
    said = refused(weights, lambda named: named.pop("layers.mixed_4.tower.conv_1.beta"), tmp_path)
    assert "Mixed_6b.branch7x7_2.bn.bias" in said and "missing" in said
    said = refused(weights, lambda named: named.update({"layers.conv.bn.bias": torch.zeros(32)}), tmp_path)
    assert "layers.conv.beta and layers.conv.bn.bias" in said or "layers.conv.bn.bias and layers.conv.beta" in said
    said = refused(weights, lambda named: named.update({"layers.mixed_11.conv.mean": torch.zeros(32)}), tmp_path)
    assert "1 unexpected (layers.mixed_11.conv.mean)" in said
    rows = {"layers.mixed_10.tower.mixed.conv.weight": torch.zeros(384, 384, 3, 1)}
    assert "Mixed_7c.branch3x3_2a.conv.weight (384, 384, 3, 1) instead of" in refused(
        weights, lambda named: named.update(rows), tmp_path
    )


def test_factors_of_batch_norms_are_taken_where_there_are_any(weights, tmp_path):
    named = program_names(weights, "modules")
    factor = torch.linspace(0.5, 1.5, 32)
    network = inception_of(checkpoint({**named, "layers.conv.bn.weight": factor}))
    assert torch.equal(network.Conv2d_1a_3x3.bn.weight, factor)


def test_other_loaders_say_where_it_belongs(weights, tmp_path):
    torch.save(program_names(weights, "functional"), tmp_path / "a.pth")
    with pytest.raises(
        BadCheckpoint, match=r"NVIDIA's Inception-v3 .*; it belongs into models/metrics, for Load Feature"
    ):
        SEGMENTERS.load(tmp_path / "a.pth")
