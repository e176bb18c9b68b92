"""diffusers folders load strictly, offline, and without running code."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from trilemma.models.diffusion import tiny as tiny_parts
from trilemma.models.errors import BadCheckpoint, MissingFile
from trilemma.models.inpainting.base import Inpainter
from trilemma.models.inpainting.loading import load_inpainter
from trilemma.tests.closeness import assert_close
from trilemma.tests.inpainting import tiny
from trilemma.tests.inpainting.tiny import inpaint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A pipeline and the folder that diffusers saved it in."""
    folder = tmp_path_factory.mktemp("pipeline")
    made = tiny.pipeline(folder)
    made.save_pretrained(folder / "model")
    return made, folder / "model"


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the folder, to be broken."""
    return shutil.copytree(saved[1], tmp_path / "model")


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def same_picture(made, loaded: Inpainter, tolerance: float = 1e-5) -> None:
    image, mask = torch.rand(1, 32, 32, 3), torch.ones(1, 32, 32)
    expected = inpaint(tiny.inpainter_of(made), image, mask, "cat", steps=2)
    assert_close(inpaint(loaded, image, mask, "cat", steps=2), expected, tolerance)


@pytest.mark.parametrize("vae", ["tiny", "kl"])
def test_a_saved_pipeline_draws_the_same(tmp_path, vae):
    made = tiny.pipeline(tmp_path, vae=vae)
    made.save_pretrained(tmp_path / "model")
    loaded = load_inpainter(tmp_path / "model")
    same_picture(made, loaded)
    assert loaded.native_resolution == 16 * (4 if vae == "tiny" else 2)


def test_older_weights_and_tokenizer_files_are_read(saved, folder):
    made = saved[0]
    shutil.rmtree(folder / "tokenizer")
    tiny_parts.write_tokenizer(folder / "tokenizer")
    for part, name in (("unet", "diffusion_pytorch_model"), ("text_encoder", "pytorch_model")):
        weights = next((folder / part).glob("*.safetensors"))
        weights.unlink()
        torch.save(getattr(made, part).state_dict(), folder / part / f"{name}.bin")
    same_picture(made, load_inpainter(folder))


def test_weights_in_several_files_are_read(saved, folder):
    made = saved[0]
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    made.unet.save_pretrained(folder / "unet", max_shard_size="100KB")
    assert len(list((folder / "unet").glob("*.safetensors"))) > 1
    same_picture(made, load_inpainter(folder))


def test_half_precision_variants_are_read(saved, tmp_path):
    made, source = saved
    folder = shutil.copytree(source, tmp_path / "half")
    for part in ("unet", "vae", "text_encoder"):
        for weights in (folder / part).glob("*.safetensors"):
            weights.unlink()
    for part in ("unet", "vae", "text_encoder"):
        halved = type(getattr(made, part)).from_pretrained(source / part).half()
        halved.save_pretrained(folder / part, variant="fp16")
    loaded = load_inpainter(folder)
    same_picture(made, loaded, tolerance=0.02)
    taken = [f"took the variant fp16 of the weights in {part}/" for part in ("unet", "vae", "text_encoder")]
    assert sorted(loaded.notes) == sorted(taken)


def test_all_networks_get_the_asked_dtype(saved):
    asked = []

    def dtype_for(params: int) -> torch.dtype:
        asked.append(params)
        return torch.bfloat16

    loaded = load_inpainter(saved[1], dtype_for)
    parameters = [parameter for network in loaded.modules for parameter in network.parameters()]
    assert {parameter.dtype for parameter in parameters} == {torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in parameters)
    assert asked == [sum(parameter.numel() for parameter in parameters)]


def test_older_names_of_the_autoencoder_and_text_encoder_are_read(tmp_path):
    from safetensors.torch import load_file, save_file

    made = tiny.pipeline(tmp_path, vae="kl")
    folder = tmp_path / "model"
    made.save_pretrained(folder)
    vae = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(vae)
    old = {}
    for name, value in tensors.items():
        for before, after in (("to_q.", "query."), ("to_k.", "key."), ("to_v.", "value."), ("to_out.0.", "proj_attn.")):
            name = name.replace(before, after)
        old[name] = value
    assert old.keys() != tensors.keys()
    save_file(old, vae)
    text = folder / "text_encoder" / "model.safetensors"
    tensors = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(text).items()}
    save_file({**tensors, "text_model.embeddings.position_ids": torch.arange(tiny_parts.POSITIONS)[None]}, text)
    same_picture(made, load_inpainter(folder))


def test_a_file_replaced_on_disk_does_not_change_a_loaded_model(folder):
    loaded = load_inpainter(folder)
    before = [parameter.clone() for parameter in loaded.networks.unet.parameters()]
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(b"\xff" * weights.stat().st_size)
    assert all(map(torch.equal, before, loaded.networks.unet.parameters()))


def test_code_is_refused(folder):
    (folder / "unet" / "my_unet.py").write_text("raise SystemExit")
    with pytest.raises(BadCheckpoint, match=r"holds code \(unet/my_unet.py\)"):
        load_inpainter(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"_class_name": "StableDiffusion3InpaintPipeline"},
            "of the model 'StableDiffusion3InpaintPipeline'; the pack",
        ),
        ({"_class_name": "StableDiffusionXLInpaintPipeline"}, "its text_encoder_2 is a None"),
        ({"_class_name": ["my_pipeline", "MyPipeline"]}, "MyPipeline"),
        ({"unet": ["diffusers", "UNet3DConditionModel"]}, "its unet is a UNet3DConditionModel"),
        ({"scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"]}, "its scheduler is a FlowMatch"),
        ({"vae": [None, None]}, "its vae is a None"),
    ],
)
def test_other_pipelines_are_refused_by_name(folder, changes, words):
    edit(folder / "model_index.json", **changes)
    with pytest.raises(BadCheckpoint, match=words):
        load_inpainter(folder)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model_index.json", "model has no weights"),
        ("unet/config.json", "unet: has no config.json"),
        ("scheduler/scheduler_config.json", "scheduler: has no scheduler_config.json"),
        ("tokenizer/tokenizer.json", "tokenizer.json or vocab.json and merges.txt is missing in tokenizer/"),
        ("vae/diffusion_pytorch_model.safetensors", "vae has no weights; put diffusion_pytorch_model"),
    ],
)
def test_a_missing_file_is_named(folder, name, words):
    (folder / name).unlink()
    with pytest.raises((BadCheckpoint, MissingFile), match=words):
        load_inpainter(folder)


def test_a_corrupt_configuration_is_named(folder):
    (folder / "vae" / "config.json").write_text('{"latent')
    with pytest.raises(BadCheckpoint, match=r"vae: config\.json is no JSON"):
        load_inpainter(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop("conv_in.bias"), r"U-Net: .*1 missing \(conv_in.bias\)"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
        (
            lambda tensors: tensors.update({"conv_in.bias": torch.zeros(3)}),
            r"1 of another shape \(conv_in.bias",
        ),
    ],
)
def test_weights_must_fit_exactly(folder, change, words):
    from safetensors.torch import load_file, save_file

    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(BadCheckpoint, match=words):
        load_inpainter(folder)


def test_other_numbers_of_input_channels_are_refused(folder):
    edit(folder / "unet" / "config.json", in_channels=8)
    with pytest.raises(BadCheckpoint, match="8 input channels"):
        load_inpainter(folder)
