"""The host layer without ComfyUI."""

import pytest
import torch
from torch import nn
from trilemma import host
from trilemma.host import model_folders, standalone


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setitem(standalone._places, "models", tmp_path)
    return tmp_path


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


class ReadOnlyDevice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)

    @property
    def device(self):
        return self.layer.weight.device


def test_outside_of_comfyui_the_stand_in_serves():
    assert host.placed is standalone.placed
    assert set(host.__all__) - {"Handle", "Slot"} <= set(vars(standalone))


def test_a_held_network_is_frozen_and_tolerates_what_a_host_writes_on_it():
    network = ReadOnlyDevice().train()

    handle = host.hold("the model", [network])

    assert handle.model == "the model"
    assert isinstance(handle, tuple) and isinstance(handle.patchers, tuple)
    (slot,) = handle.patchers
    slot.device = torch.device("meta")
    assert slot.inner is network and not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_placed_brings_every_network_to_the_device_and_back():
    handles = [host.hold(None, [nn.Linear(2, 2), nn.Linear(2, 2)]), host.hold(None, [nn.Linear(2, 2)])]
    parameters = [p for handle in handles for slot in handle.patchers for p in slot.parameters()]

    with host.placed(*handles, memory=1000) as device:
        assert device == host.compute_device()
        assert {parameter.device.type for parameter in parameters} == {device.type}
    assert {parameter.device.type for parameter in parameters} == {"cpu"}


def test_networks_leave_the_device_after_an_error_too(monkeypatch):
    handle = host.hold(None, [nn.Linear(2, 2)])
    moves = []
    monkeypatch.setattr(host.Slot, "to", lambda self, device: moves.append(str(device)))

    with pytest.raises(ZeroDivisionError), host.placed(handle, memory=0):
        raise ZeroDivisionError
    assert moves == [str(host.compute_device()), "cpu"]


def test_values_between_nodes_are_float32_on_the_cpu():
    kept = host.intermediate(torch.ones(2, dtype=torch.float16))

    assert (kept.dtype, kept.device.type) == (torch.float32, "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="speaks of machines without CUDA")
def test_a_cpu_computes_in_float32():
    assert host.compute_dtype(10**9) is torch.float32


def test_progress_shows_each_step_on_stderr(capsys):
    with host.progress(7) as on_step:
        on_step(3, torch.rand(4, 4, 3))
        on_step(7)

    assert "0/7" in capsys.readouterr().err


def test_an_interrupt_stops_at_the_next_step_and_only_once():
    steps = []
    with pytest.raises(KeyboardInterrupt), host.progress(10) as on_step:
        for step in range(10):
            on_step(step)
            steps.append(step)
            if step == 4:
                host.interrupt()

    assert steps == [0, 1, 2, 3, 4]
    host.check_interrupted()


def out_of_memory_above(limit, tried):
    def run(batch_size):
        tried.append(batch_size)
        if batch_size > limit:
            raise torch.cuda.OutOfMemoryError("device is full")
        return batch_size * 10

    return run


def test_out_of_memory_halves_the_batch_until_it_fits():
    tried = []

    assert host.halving(out_of_memory_above(2, tried), 9) == 20
    assert tried == [9, 4, 2]


def test_out_of_memory_at_a_batch_of_one_comes_out_as_it_came():
    tried = []

    with pytest.raises(torch.cuda.OutOfMemoryError, match="device is full"):
        host.halving(out_of_memory_above(0, tried), 4)
    assert tried == [4, 2, 1]


@pytest.mark.parametrize("error", [ValueError, standalone.Interrupted])
def test_other_errors_and_interrupts_are_not_retried(error):
    tried = []

    def run(batch_size):
        tried.append(batch_size)
        raise error

    with pytest.raises(error):
        host.halving(run, 8)
    assert tried == [8]


def test_a_failed_attempt_is_freed_before_the_next():
    alive = []

    class Activation:
        def __init__(self):
            alive.append(self)

        def __del__(self):
            freed.append(True)

    freed = []

    def run(batch_size):
        if batch_size == 1:
            return len(freed)
        activation = Activation()
        alive.remove(activation)
        raise torch.cuda.OutOfMemoryError

    assert host.halving(run, 2) == 1


def test_networks_built_outside_of_inference_mode_can_serve_gradients():
    with torch.inference_mode():
        with host.without_inference_mode():
            network = nn.Linear(2, 2)
        assert not network.weight.is_inference()


def test_model_files_are_listed_by_type_with_forward_slashes(models):
    for name in ("b.pth", "sub/a.SAFETENSORS", "notes.txt", "sub/deep/c.pth"):
        touch(models / "sams" / name)

    assert host.model_files("sams", (".pth", ".safetensors")) == ["b.pth", "sub/a.SAFETENSORS", "sub/deep/c.pth"]


def test_model_folders_are_entries_and_hide_their_files(models):
    touch(models / "grounding-dino" / "single.pth")
    touch(models / "grounding-dino" / "base" / "config.json")
    touch(models / "grounding-dino" / "base" / "model.safetensors")
    touch(models / "grounding-dino" / "nested" / "pipe" / "model_index.json")
    touch(models / "grounding-dino" / "nested" / "pipe" / "unet" / "config.json")

    listed = host.model_files("grounding-dino", (".pth", ".safetensors"), folders=True)

    assert listed == ["base", "nested/pipe", "single.pth"]


def test_a_missing_model_folder_is_an_empty_list(models):
    assert host.model_files("sams", (".pth",), folders=True) == []


def test_model_paths_are_found_and_a_missing_one_names_its_folder(models):
    touch(models / "sams" / "sub" / "a.pth")

    assert host.model_path("sams", "sub/a.pth") == models / "sams" / "sub" / "a.pth"
    with pytest.raises(FileNotFoundError, match="sams"):
        host.model_path("sams", "b.pth")


@pytest.mark.parametrize("name", ["../secret.pth", "sub/../../secret.pth", "..\\secret.pth", "/etc/passwd", ""])
def test_names_that_lead_out_of_the_model_folder_are_not_found(models, name):
    touch(models / "secret.pth")
    touch(models / "sams" / "sub" / "a.pth")

    with pytest.raises(FileNotFoundError):
        host.model_path("sams", name)


def test_the_first_root_that_has_the_file_wins(tmp_path):
    touch(tmp_path / "second" / "a.pth")
    roots = [tmp_path / "first", tmp_path / "second"]

    assert model_folders.find(roots, "a.pth", "sams") == tmp_path / "second" / "a.pth"
    assert model_folders.walk_files(roots) == ["a.pth"]
