"""LoRAs of every layout and kind: the numbers of the kit, and the names of the layers that they are for."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.diffusion import networks, original_layout, single_file, tiny
from trilemma.models.diffusion.adapters import deltas, lora, lora_file
from trilemma.models.diffusion.adapters.lora import Weighted
from trilemma.models.diffusion.stable_diffusion import SecondEncoder, StableDiffusion
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close, is_close

pytestmark = pytest.mark.slow

KIT = Path(os.environ.get("TRILEMMA_REFERENCE_KIT", reference_kit.KIT)) / "kohya_lora"
CASE = reference_kit.case("kohya_lora", "golden_merge")
STRENGTH = 0.8
LAYERS = {
    "linear": "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
    "conv1x1": "lora_unet_down_blocks_0_attentions_0_proj_in",
    "conv3x3": "lora_unet_down_blocks_0_resnets_0_conv1",
}
KINDS = {
    "kohya": "lora",
    "lycoris.locon": "lora",
    "lycoris.loha": "loha",
    "lycoris.lokr_w1_w2ab": "lokr_w1_w2ab",
    "lycoris.lokr_full": "lokr_full",
    "lycoris.lokr_both": "lokr_both",
    "lycoris.tucker": "tucker",
    "lycoris.loha_tucker": "loha_tucker",
    "lycoris.lokr_tucker": "lokr_tucker",
}
TUCKER = [name for name in KINDS if "tucker" in name]
CASES = [(name, layer) for name in KINDS for layer in LAYERS if name not in TUCKER or layer == "conv3x3"]


def module_of(prefix: str, layer: str, tmp_path: Path) -> deltas.Module:
    """One module of the kit, as a file of its own that is read."""
    every = {
        name: value for name, value in reference_kit.weights(CASE).items() if name.startswith(f"{prefix}.{layer}.")
    }
    alpha = {f"{prefix}.{layer}.alpha": torch.tensor(2.0)}
    written = {name.removeprefix(f"{prefix}."): value for name, value in {**every, **alpha}.items()}
    save_file(written, tmp_path / "one.safetensors")
    return lora_file.read(tmp_path / "one.safetensors").modules[layer]


def base(layer: str) -> torch.Tensor:
    return reference_kit.weights(CASE)[f"base.{layer}.weight"]


@pytest.mark.parametrize(("name", "layer"), CASES)
def test_the_numbers_are_those_of_the_kit(name, layer, tmp_path):
    module = module_of(KINDS[name], LAYERS[layer], tmp_path)
    found = deltas.merged(base(LAYERS[layer]), module, STRENGTH)
    reference_kit.compare(CASE, {f"{name}.{layer}.merged": found}, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_dora_rescales_as_in_its_paper(layer, tmp_path):
    """LyCORIS scales the whole weight at a strength; at 1 there is one answer, which the kit's tells."""
    plain = deltas.merged(base(LAYERS[layer]), module_of("lora", LAYERS[layer], tmp_path), 1.0)
    module = module_of("dora", LAYERS[layer], tmp_path)
    whole = deltas.merged(
        base(LAYERS[layer]), {key: value for key, value in module.items() if key != "dora_scale"}, 1.0
    )
    scaled = {**module, "dora_scale": module["dora_scale"].abs() + 0.5}
    once = deltas.merged(base(LAYERS[layer]), scaled, 1.0)
    found = whole * (1 - STRENGTH) + STRENGTH * once
    reference_kit.compare(CASE, {f"lycoris.dora.{layer}.merged": found}, atol=1e-6, rtol=1e-5)
    assert torch.equal(deltas.merged(base(LAYERS[layer]), scaled, 0.0), base(LAYERS[layer]))
    assert not is_close(plain, once)


@pytest.mark.parametrize(("alpha", "scale"), [(None, 1.0), (0.0, 1.0), (4.0, 1.0), (1.0, 0.25), (8.0, 2.0)])
def test_alpha_over_rank(alpha, scale):
    up, down = torch.randn(6, 4), torch.randn(4, 5)
    module = {"up": up, "down": down} | ({} if alpha is None else {"alpha": torch.tensor(alpha)})
    assert_close(deltas.weight_delta(module, torch.Size((6, 5))), scale * (up @ down))


def full_size(version=original_layout.V1) -> StableDiffusion:
    """On the meta device."""
    parts = single_file.configurations(original_layout.PUBLISHED[version])
    built = networks.build(*(parts[part] for part in networks.Networks._fields))
    second = networks.build_second(parts["text_encoder_2"]) if version is original_layout.XL else None
    return StableDiffusion(*built, None, {}, None if second is None else SecondEncoder(second, None))


def table_of(model: StableDiffusion) -> dict[str, lora.Target]:
    parts = lora._networks(model)
    return {name: lora.Target(part, path) for part, net in parts.items() for name, path in lora._names(part, net)}


@pytest.mark.skipif(not (KIT / "key_map_sd15.json").is_file(), reason="the kit is not at hand")
@pytest.mark.parametrize("layout", ["kohya", "diffusers", "PEFT"])
def test_every_module_of_published_files_has_its_layer(layout, tmp_path):
    """350 of SD 1.5, by the three layouts' names, each with the layer that the kit says, of its shape."""
    model = full_size()
    table = table_of(model)
    rows = json.loads((KIT / "key_map_sd15.json").read_text())["rows"]
    assert len(rows) == 350
    parts = lora._networks(model)
    for kohya, path, shape, diffusers, peft, *_ in rows:
        names = {"kohya": [f"{kohya}.lora_down.weight"], "diffusers": [diffusers], "PEFT": [peft]}[layout]
        save_file({name: torch.zeros(1, 1) for name in names}, tmp_path / "x.safetensors")
        (module,) = lora_file.read(tmp_path / "x.safetensors").modules
        part, found = lora._target(table, module)
        assert part == ("text_encoder" if kohya.startswith("lora_te_") else "unet")
        assert found.removeprefix("text_model.") == path.removeprefix("text_model."), module
        assert list(parts[part].get_submodule(found).weight.shape) == shape


@pytest.mark.parametrize("version", original_layout.VERSIONS, ids=lambda version: version.name)
def test_original_names_are_the_layers_of_single_files(version):
    """As LoRAs of SDXL are named by kohya-ss: every layer of the original U-Net, and none twice."""
    table = table_of(full_size(version))
    shapes = original_layout.weights(original_layout.PUBLISHED[version])
    unet = {name.removeprefix(single_file.UNET) for name in shapes if name.startswith(single_file.UNET)}
    for layer in sorted({name.rpartition(".")[0] for name in unet}):
        target = table[f"lora_unet_{layer.replace('.', '_')}"]
        assert f"{target.path}.weight" == single_file.unet_name(f"{layer}.weight")
        assert table[f"diffusion_model.{layer}"] == target


def model_of(xl: bool = False, seed: int = 0) -> StableDiffusion:
    torch.manual_seed(seed)
    unet = tiny.xl_unet() if xl else tiny.unet()
    second = SecondEncoder(tiny.second_encoder(), None) if xl else None
    return StableDiffusion(unet, tiny.autoencoder(), tiny.text_encoder(), None, {}, second)


Q = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
TEXT = "text_model.encoder.layers.1.self_attn.q_proj"


def written(path: Path, **tensors: torch.Tensor) -> lora_file.LoRA:
    save_file({name.replace("__", "."): value for name, value in tensors.items()}, path)
    return lora_file.read(path)


def kohya(path: Path, seed: int = 0, rank: int = 2) -> lora_file.LoRA:
    """For one layer of the U-Net, and one of the text encoder."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, out, into in ((f"lora_unet_{Q}", 16, 16), (f"lora_te_{TEXT}", tiny.WIDTH, tiny.WIDTH)):
        flat = name.replace(".", "_")
        tensors[f"{flat}.lora_up.weight"] = torch.randn(out, rank, generator=generator)
        tensors[f"{flat}.lora_down.weight"] = torch.randn(rank, into, generator=generator)
        tensors[f"{flat}.alpha"] = torch.tensor(1.0)
    save_file(tensors, path)
    return lora_file.read(path)


def layer(model: StableDiffusion, part: str, path: str) -> torch.Tensor:
    """A layer's weight; transformers 5 has no text_model before its names."""
    found = dict(getattr(model, part).named_parameters())
    name = f"{path}.weight"
    return found[name] if name in found else found[name.removeprefix("text_model.")]


def test_several_are_summed_with_their_strengths_and_leave_the_model_alone(tmp_path):
    model = model_of()
    first, second = kohya(tmp_path / "a.safetensors", 1), kohya(tmp_path / "b.safetensors", 2, rank=3)
    before = {part: layer(model, part, path).clone() for part, path in (("unet", Q), ("text_encoder", TEXT))}
    changed = lora.apply(model, [Weighted(first, 0.8), Weighted(second, -0.5)], "a model")
    for part, path, module in (("unet", Q, f"lora_unet_{Q}"), ("text_encoder", TEXT, f"lora_te_{TEXT}")):
        a, b = (each.modules[module.replace(".", "_")] for each in (first, second))
        expected = before[part] + 0.8 / 2 * a["up"] @ a["down"] - 0.5 / 3 * b["up"] @ b["down"]
        assert_close(layer(changed, part, path), expected)
        assert torch.equal(layer(model, part, path), before[part])
    others = set(dict(model.unet.named_parameters())) - {f"{Q}.weight"}
    for name in others:
        assert torch.equal(model.unet.get_parameter(name), changed.unet.get_parameter(name))
    assert changed.vae is model.vae
    assert not any(parameter.requires_grad for parameter in changed.unet.parameters())


def test_a_strength_of_nothing_is_the_model(tmp_path):
    model = model_of()
    same = lora.apply(model, [Weighted(kohya(tmp_path / "a.safetensors"), 0.0)], "a model")
    for name, value in model.unet.state_dict().items():
        assert torch.equal(same.unet.state_dict()[name], value)


def test_halves_are_merged_in_single_precision(tmp_path):
    model = model_of()
    model.unet.half()
    found = kohya(tmp_path / "a.safetensors")
    changed = lora.apply(model, [Weighted(found, 1.0)], "a model")
    module = found.modules[f"lora_unet_{Q}".replace(".", "_")]
    exact = layer(model, "unet", Q).float() + module["up"] @ module["down"] / 2
    assert torch.equal(layer(changed, "unet", Q), exact.half())


OLD = Q.replace("to_q", "processor.to_q_lora")
LDM = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q"


@pytest.mark.parametrize(
    "names",
    [
        [f"unet.{Q}.lora_A.weight", f"unet.{Q}.lora_B.weight"],
        [f"unet.{Q}.lora_A.default.weight", f"unet.{Q}.lora_B.default.weight"],
        [f"base_model.model.{Q}.lora_A.weight", f"base_model.model.{Q}.lora_B.weight"],
        [f"unet.{Q}.lora.down.weight", f"unet.{Q}.lora.up.weight"],
        [f"unet.{OLD}.down.weight", f"unet.{OLD}.up.weight"],
        [f"{OLD}.down.weight", f"{OLD}.up.weight"],
        [f"{LDM}.lora_down.weight", f"{LDM}.lora_up.weight"],
    ],
)
def test_every_layout_reaches_the_same_layer(names, tmp_path):
    down, up = torch.randn(2, 16), torch.randn(16, 2)
    save_file(dict(zip(names, (down, up), strict=True)), tmp_path / "x.safetensors")
    model = model_of()
    changed = lora.apply(model, [Weighted(lora_file.read(tmp_path / "x.safetensors"), 1.0)], "a model")
    assert_close(layer(changed, "unet", Q), layer(model, "unet", Q) + up @ down)


PATTERN = {"unet.lora_alpha": 2, "unet.alpha_pattern": {"attn1.to_q": 6}}


@pytest.mark.parametrize(
    ("metadata", "beside", "scale"),
    [
        ({"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 1, "unet.r": 2})}, None, 0.5),
        (
            {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 2, "unet.alpha_pattern": {"attn1.to_q": 6}})},
            None,
            3.0,
        ),
        (None, {"lora_alpha": 8, "r": 2}, 4.0),
        (None, {"lora_alpha": 2, "r": 2, "use_rslora": True}, 2**0.5),
        (None, None, 1.0),
    ],
)
def test_alphas_of_peft_are_found(metadata, beside, scale, tmp_path):
    prefix = "base_model.model" if beside else "unet"
    tensors = {f"{prefix}.{Q}.lora_A.weight": torch.randn(2, 16), f"{prefix}.{Q}.lora_B.weight": torch.randn(16, 2)}
    path = tmp_path / "adapter_model.safetensors"
    save_file(tensors, path, metadata)
    if beside:
        (tmp_path / "adapter_config.json").write_text(json.dumps(beside))
    model = model_of()
    changed = lora.apply(model, [Weighted(lora_file.read(path), 1.0)], "a model")
    down, up = tensors.values()
    assert_close(layer(changed, "unet", Q), layer(model, "unet", Q) + scale * up @ down)


def test_whole_differences_and_those_of_biases_and_norms(tmp_path):
    model = model_of()
    found = written(
        tmp_path / "x.safetensors",
        lora_unet_conv_out__diff=torch.ones(4, 16, 3, 3),
        lora_unet_conv_out__diff_b=torch.ones(4),
        lora_unet_conv_norm_out__w_norm=torch.ones(16),
        lora_unet_conv_norm_out__b_norm=torch.ones(16),
    )
    changed = lora.apply(model, [Weighted(found, 0.5)], "a model").unet
    for name in ("conv_out.weight", "conv_out.bias", "conv_norm_out.weight", "conv_norm_out.bias"):
        assert_close(changed.get_parameter(name), model.unet.get_parameter(name) + 0.5)


def test_the_second_encoder_of_xl(tmp_path):
    model = model_of(xl=True)
    down, up = torch.randn(2, tiny.SECOND_WIDTH), torch.randn(tiny.SECOND_WIDTH, 2)
    name = "lora_te2_text_model_encoder_layers_0_mlp_fc1"
    found = written(tmp_path / "x.safetensors", **{f"{name}__lora_down__weight": down, f"{name}__lora_up__weight": up})
    changed = lora.apply(model, [Weighted(found, 1.0)], "a model")
    path = next(path for path, _ in model.second.encoder.named_modules() if path.endswith("layers.0.mlp.fc1"))
    before, after = (each.second.encoder.get_submodule(path).weight for each in (model, changed))
    assert_close(after, before + up @ down)
    assert changed.text_encoder is model.text_encoder


def attn2(width: int) -> dict[str, torch.Tensor]:
    name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    return {f"{name}.lora_down.weight": torch.zeros(4, width), f"{name}.lora_up.weight": torch.zeros(640, 4)}


def down(name: str) -> dict[str, torch.Tensor]:
    return {f"{name}.lora_down.weight": torch.zeros(1, 1)}


def pair(rank: int, into: int) -> dict[str, torch.Tensor]:
    """Half of one."""
    return {f"unet.{Q}.lora_A.weight": torch.zeros(rank, into)}


@pytest.mark.parametrize(
    ("tensors", "metadata", "words"),
    [
        (attn2(768), None, "a LoRA of Stable Diffusion 1.x"),
        (attn2(1024), None, "a LoRA of Stable Diffusion 2.x"),
        (attn2(2048), None, "a LoRA of Stable Diffusion XL"),
        (attn2(512), None, "a model that attends to 512 numbers"),
        (attn2(768), {"ss_base_model_version": "sd_v1"}, "a LoRA of sd_v1"),
        (down("lora_te2_text_model_encoder_layers_9_mlp_fc1"), None, "of Stable Diffusion XL"),
        (down("lora_unet_double_blocks_0_img_attn_proj"), None, "a LoRA of Flux"),
        ({**pair(2, 17), f"unet.{Q}.lora_B.weight": torch.zeros(16, 2)}, None, "to_q does not fit"),
        (pair(2, 16), None, "to_q does not fit"),
    ],
)
def test_loras_of_another_family_are_refused_with_what_they_are(tensors, metadata, words, tmp_path):
    save_file(tensors, tmp_path / "x.safetensors", metadata)
    found = lora_file.read(tmp_path / "x.safetensors")
    with pytest.raises(BadInput, match=rf"x\.safetensors is .*{words}|{words}") as raised:
        lora.apply(model_of(), [Weighted(found, 1.0)], "Stable Diffusion")
    assert "over Stable Diffusion, whose U-Net attends to 32 numbers" in str(raised.value)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            ["control_model.input_hint_block.0.weight", "control_model.zero_convs.0.0.weight"],
            "holds a ControlNet; it belongs into models/controlnet",
        ),
        (["encoder.conv_in.weight", "decoder.conv_in.weight"], "holds a variational autoencoder"),
        (["conv_first.weight", "body.0.rdb1.conv1.weight"], r"holds an upscaler \(ESRGAN\)"),
        (["a.weight"], "is no LoRA that the pack knows"),
        (["lora_unet_conv_in.lora_down.weight", "lora_unet_conv_in.oft_blocks"], r"holds 1 of 2 tensors .*oft_blocks"),
        (["lora_unet_conv_in.lora_down.weight", "lora_unet_conv_in.on_input"], r"holds 1 of 2 tensors .*on_input"),
    ],
)
def test_other_files_are_refused(names, words, tmp_path):
    save_file({name: torch.zeros(4, 4) for name in names}, tmp_path / "x.safetensors")
    with pytest.raises(BadCheckpoint, match=rf"lora: x\.safetensors {words}"):
        lora_file.read(tmp_path / "x.safetensors")
