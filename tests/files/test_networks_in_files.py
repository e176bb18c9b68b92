"""The one network to draw with is found wherever a training script put it, and what was chosen is said."""

import copy
import pickle
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files import checkpoints
from trilemma.models.generators.gan.dcgan import _build
from trilemma.models.generators.loading import GENERATORS
from trilemma.models.random_weights import random_weights
from trilemma.models.scoring.extractors.loading import EXTRACTORS

GOOD = random_weights(_build(5, 8, 3), seed=1)
LAST = random_weights(_build(5, 8, 3), seed=2)
CRITIC = {"main.0.weight": torch.ones(8, 3, 4, 4), "main.2.weight": torch.ones(1, 8, 4, 4)}
METRIC = {"real_features_sum": torch.ones(4), "inception.Mixed_5b.branch1x1.conv.weight": torch.ones(1)}
SCALARS = {"epoch": 3, "loss": torch.tensor(0.1), "step": torch.tensor(7)}
PARAMETERS = [name for name in GOOD if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))]


def under(prefix, tensors):
    return {f"{prefix}{name}": value for name, value in tensors.items()}


def statistics_of(tensors, parameters):
    """What only parameters are averaged of: the statistics stay those of the last weights."""
    return {name: parameters.get(name, value) for name, value in tensors.items()}


def load(content, folder):
    path = folder / "x.pth"
    torch.save(content, path)
    return GENERATORS.load(path)


def same(found, expected):
    state = found.network.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], value) for name, value in expected.items())


@pytest.mark.parametrize(
    "content",
    [
        {"generator_state_dict": GOOD, "discriminator_state_dict": CRITIC, **SCALARS},
        {"netG_state_dict": GOOD, "netD_state_dict": CRITIC, "optimizerG_state_dict": {"state": {0: {"exp_avg": 1}}}},
        {"g_state": GOOD, "d_state": CRITIC},
        {"gen": GOOD, "disc": CRITIC, "gen_opt": {"state": {}, "param_groups": []}},
        {"Generator": GOOD, "Discriminator": CRITIC},
        {"networks": {"gan": {"G": GOOD, "D": CRITIC}}},
        {"checkpoint": {"weights": under("module.", GOOD)}, "config": {"z": 5}},
        {"my_net": GOOD, **SCALARS},
        (3, GOOD),
        [GOOD, {"lr": 0.1}],
        {"critic": CRITIC, "anything": GOOD},
        {"gen": {name: value.numpy() for name, value in GOOD.items()}, "loss": 0.3},
        {name: value.numpy() for name, value in GOOD.items()},
        {"state_dict": under("model._orig_mod.", GOOD)},
        {"state_dict": under("model.", GOOD)},
        {"state_dict": {**under("generator.", GOOD), **under("fid.", METRIC)}},
        {"state_dict": {**under("gen.", GOOD), **under("val_score.", METRIC)}},
        {"state_dict": {**under("gan.generator.", GOOD), **under("gan.discriminator.", CRITIC)}},
        {"state_dict": {**under("netG.module.", GOOD), **under("netD.module.", CRITIC), "steps": torch.tensor(4)}},
        {"state_dict": {**under("generator.", GOOD), **under("mapper.", {"0.bias": torch.ones(2)})}},
        under("_orig_mod.", under("net.", GOOD)),
        {"main._orig_mod.0.weight" if name == "main.0.weight" else name: value for name, value in GOOD.items()},
        {**SCALARS, **GOOD} | {"epoch": torch.tensor(3)},
        {"encoder": {"weight": torch.ones(2, 2)}, "decoder": GOOD},
    ],
)
def test_the_last_generator(content, tmp_path):
    same(load(content, tmp_path), GOOD)


@pytest.mark.parametrize(
    "content",
    [
        {"model": LAST, "ema": {"shadow": GOOD, "decay": 0.99}},
        {"model": LAST, "ema": {"shadow": {name: GOOD[name] for name in PARAMETERS}}},
        {"net": LAST, "ema": {"shadow_params": [GOOD[name] for name in PARAMETERS], "decay": 0.9}},
        {"net": LAST, "ema": {"shadow_params": list(GOOD.values())}},
        {"state_dict": LAST, "ema_weights": GOOD},
        {"model": LAST, "averaged_model": under("module.", GOOD)},
        {"model": LAST, "swa_model": {"n_averaged": torch.tensor(3), **under("module.", GOOD)}},
        {"generator": LAST, "discriminator": CRITIC, "g_running": GOOD},
        {"netG": LAST, "netD": CRITIC, "netG_ema": GOOD, "netD_ema": CRITIC},
        {"model": {"G": LAST, "D": CRITIC}, "EMA": {"G": GOOD, "D": CRITIC}},
        {"model": LAST, "ema": {**under("online_model.", LAST), **under("ema_model.", GOOD), "step": torch.tensor(2)}},
        {"state_dict": {**under("net.", LAST), **under("net_ema.", GOOD)}},
        {"generator": LAST, "generator_smooth": GOOD, "discriminator": CRITIC},
        {"G": LAST, "D": CRITIC, "Gs": GOOD},
        {"netG": LAST, "avg_param_G": [GOOD[name] for name in PARAMETERS]},
        {
            **under("model.", LAST),
            **{f"model_ema.{name.replace('.', '')}": GOOD[name] for name in PARAMETERS},
            "model_ema.decay": torch.tensor(0.99),
            "model_ema.num_updates": torch.tensor(3),
        },
        {"state_dict": {**under("generator.", LAST), **under("ema_generator.", GOOD), **under("critic.", CRITIC)}},
        {"state_dict": under("model.", LAST), "callbacks": {"EMA": {"ema_weights": GOOD}}},
        {"model": under("module.", LAST), "ema": {"shadow": under("module.", GOOD)}},
    ],
)
def test_averaged_weights(content, tmp_path):
    found = load(content, tmp_path)
    state = found.network.state_dict()
    assert all(torch.equal(state[name], GOOD[name]) for name in PARAMETERS)
    assert found.notes and "EMA" in found.notes[0]


def test_weights_averaged_by_pytorch(tmp_path):
    network = _build(5, 8, 3)
    network.load_state_dict(LAST)
    averaged = torch.optim.swa_utils.AveragedModel(network)
    same(load(averaged.state_dict(), tmp_path), LAST)
    network.load_state_dict(GOOD)
    averaged.update_parameters(network)
    parameters = dict(network.named_parameters())
    state = load({"model": LAST, "averaged": averaged.state_dict()}, tmp_path).network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in parameters.items())


def test_a_list_of_averages_goes_by_the_order_of_parameters(tmp_path):
    """Equal shapes in a row, a tied weight, and a buffer that is no statistic: the list names none of them."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
            self.third = nn.Linear(4, 4, bias=False)
            self.third.weight = self.first.weight
            self.norm = nn.BatchNorm1d(4)

    network = Net()
    averages = [torch.full_like(value, index + 1.0) for index, value in enumerate(network.parameters())]
    torch.save({"model": network.state_dict(), "ema": {"shadow_params": averages}}, tmp_path / "x.pt")
    checkpoint = checkpoints.read(tmp_path / "x.pt")
    twin = copy.deepcopy(network)
    for value, average in zip(twin.parameters(), averages, strict=True):
        value.data = average
    assert checkpoint.tensors.keys() == twin.state_dict().keys()
    assert all(torch.equal(checkpoint.tensors[name], value) for name, value in twin.state_dict().items())


def test_averages_that_fit_nothing_are_told(tmp_path):
    found = load({"model": GOOD, "ema": {"shadow_params": [torch.ones(3)]}}, tmp_path)
    same(found, GOOD)
    assert "averaged weights (ema.shadow_params) were left aside" in " ".join(found.notes)
    with pytest.raises(BadCheckpoint, match=r"averaged weights \(shadow_params\) .*choose a file that holds the net"):
        load({"shadow_params": [torch.ones(3)]}, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"G_A": GOOD, "G_B": LAST}, r"several networks to draw with, G_A \(DCGAN\), G_B \(DCGAN\), and no name"),
        ({"discriminator": CRITIC, **SCALARS}, r"only what a generator is trained with \(discriminator\)"),
        ({"netD": CRITIC, "optimizer": {"state": {}}}, r"\(netD\), no network to draw with"),
        ({"a": {"x.w": torch.ones(2)}, "b": {"y.w": torch.ones(2)}}, "The file holds 2 networks: a, b"),
        (SCALARS, "it holds no weights"),
    ],
)
def test_what_was_found_is_named(content, said, tmp_path):
    with pytest.raises(BadCheckpoint, match=said):
        load(content, tmp_path)


def test_networks_of_tensorflow_are_named(tmp_path):
    """As StyleGAN's own pickles hold them: three objects of dnnlib, their variables as pairs of name and array."""
    module = types.ModuleType("dnnlib.tflib.network")
    network_class = type("Network", (), {"__module__": module.__name__})
    module.__dict__["Network"] = network_class
    sys.modules |= {
        "dnnlib": types.ModuleType("dnnlib"),
        "dnnlib.tflib": types.ModuleType("t"),
        module.__name__: module,
    }
    made = []
    for name in ("G", "D", "Gs"):
        network = network_class()
        network.__dict__ |= {"name": name, "variables": [("4x4/Const/const", np.ones((1, 4, 4, 4), np.float32))]}
        made.append(network)
    try:
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(tuple(made)))
    finally:
        for name in ("dnnlib", "dnnlib.tflib", module.__name__):
            del sys.modules[name]
    with pytest.raises(BadCheckpoint, match=r"TensorFlow saved it; .* legacy\.py --source.*models/generators"):
        GENERATORS.load(tmp_path / "x.pkl")


def test_a_key_that_is_a_tensor_is_not_printed(tmp_path, monkeypatch):
    """To print one takes time, and modules of PyTorch that nobody has asked for."""

    def refuse(self):
        raise AssertionError("printed")

    monkeypatch.setattr(torch.Tensor, "__repr__", refuse)
    same(load({torch.arange(3): GOOD, torch.ones(2): torch.ones(5)}, tmp_path), GOOD)


def test_convert_takes_no_guess(tmp_path):
    torch.save({"a": GOOD, "b": LAST}, tmp_path / "x.pth")
    with pytest.raises(BadCheckpoint, match=r"2 networks \(a, b\), and no name tells which"):
        checkpoints.read(tmp_path / "x.pth")


def test_a_part_of_another_model_is_no_generator(tmp_path):
    """The dense head of a larger network has the layout of an MLP GAN, but it is not what the file is."""
    tensors = {"backbone.conv.weight": torch.ones(8, 3, 3, 3), "head.0.weight": torch.ones(9, 4)}
    tensors |= {"head.0.bias": torch.ones(9), "head.2.weight": torch.ones(16, 9), "head.2.bias": torch.ones(16)}
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(BadCheckpoint, match="is no generator"):
        GENERATORS.load(tmp_path / "x.safetensors")


def test_a_module_saved_whole_with_its_critic(tmp_path):
    pair = nn.ModuleDict(OrderedDict(generator=_build(5, 8, 3), discriminator=nn.Linear(3, 1)))
    pair["generator"].load_state_dict(GOOD)
    same(load(pair, tmp_path), GOOD)


def test_each_loader_takes_its_own_of_two(tmp_path):
    content = {**under("generator.", GOOD), **under("fid.", METRIC)}
    torch.save(content, tmp_path / "x.pth")
    same(GENERATORS.load(tmp_path / "x.pth"), GOOD)
    with pytest.raises(BadCheckpoint, match="Inception"):
        EXTRACTORS.load(tmp_path / "x.pth")


@pytest.mark.parametrize("kind", ["_parameters", "_buffers", "_modules"])
def test_a_part_whose_name_is_no_text_is_refused(tmp_path, kind):
    network = nn.Sequential(nn.Linear(2, 2))
    getattr(network, kind)[torch.ones(2)] = nn.Linear(2, 2) if kind == "_modules" else torch.ones(2)
    torch.save(network, tmp_path / "x.pt")
    with pytest.raises(BadCheckpoint, match=r"x\.pt: its module at the top names a part by no text"):
        checkpoints.read(tmp_path / "x.pt")
