"""Networks that are made without weights."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from trilemma.models.weights import empty_weights, fill


def test_empty_weights_have_names_and_shapes_but_no_storage():
    with empty_weights():
        network = nn.Sequential(nn.Embedding(3, 2), nn.Conv2d(1, 4, 3))
    assert all(value.is_meta for value in network.state_dict().values())
    assert network.state_dict()["1.weight"].shape == (4, 1, 3, 3)
    tensors = nn.Sequential(nn.Embedding(3, 2), nn.Conv2d(1, 4, 3)).state_dict()
    fill(network, tensors, "a file")
    assert all(torch.equal(value, tensors[name]) for name, value in network.state_dict().items())


def test_outside_of_it_values_are_drawn():
    with empty_weights():
        pass
    assert torch.empty(64).normal_().std() > 0


@pytest.mark.slow
def test_making_a_network_without_weights_does_not_import_the_compiler():
    script = (
        "import sys; from torch import nn; from trilemma.models.weights import empty_weights\n"
        "with empty_weights(): nn.Embedding(3, 2), nn.Linear(3, 2)\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
