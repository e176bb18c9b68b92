"""The nodes of the menu Trilemma/Adapt and Image to Image, run by the stand-in host."""

import pytest
import torch
from safetensors.torch import save_file
from trilemma.host import standalone
from trilemma.models.diffusion import tiny
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.generators.loading import GENERATORS
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.closeness import is_close

pytestmark = pytest.mark.slow

LoadLoRA, LoadControl, Sample, Redraw, Inpaint, Condition = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in ("LoadLoRA", "LoadControlNet", "SampleImages", "ImageToImage", "InpaintByText", "Condition")
)
Q = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
KINDS = ("Inpainter", "Generator")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A models folder with a diffusers folder, two LoRAs, a ControlNet, and files of other kinds."""
    root = tmp_path_factory.mktemp("models")
    for name in ("diffusers", "loras", "controlnet", "generators"):
        (root / name).mkdir()
    tiny.write_stable_diffusion(root / "diffusers", "StableDiffusionPipeline", channels=4)
    next(family for family in GENERATORS.families if family.name == "MNIST VAE").tiny(root / "generators")
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        tensors = {f"{Q}.lora_A.weight": torch.randn(2, 16), f"{Q}.lora_B.weight": torch.randn(16, 2)}
        save_file(tensors, root / "loras" / f"{name}.safetensors")
    vae = {f"{part}.conv_in.weight": torch.zeros(1) for part in ("encoder", "decoder")}
    save_file(vae, root / "loras" / "vae.safetensors")
    save_file({f"{Q}.lora_A.weight": torch.zeros(2, 16)}, root / "controlnet" / "lora.safetensors")
    tiny.control_network().save_pretrained(root / "controlnet" / "canny")
    tiny.control_network(xl=True).save_pretrained(root / "controlnet" / "xl")
    return root


@pytest.fixture(autouse=True)
def folders(models, monkeypatch):
    monkeypatch.setitem(standalone._places, "models", models)


def load(kind: str):
    result = NODE_CLASS_MAPPINGS[f"TrilemmaLoad{kind}"]().run("tiny")
    return (result["result"] if isinstance(result, dict) else result)[0]


def networks_of(kind: str, handle):
    return handle.model.networks if kind == "Inpainter" else handle.model.generator.networks


@torch.inference_mode()
def drawn(kind: str, handle, count: int = 1) -> torch.Tensor:
    if kind == "Generator":
        handle = NODE_CLASS_MAPPINGS["TrilemmaDiffusionOptions"]().run(
            handle, sampler="model's own", steps=2, eta=0.0, guidance_scale=2.0, spacing="model's own"
        )[0]
        return Sample().run(Condition().run(handle, "cat")[0], count, 3)["result"][0]
    image, mask = torch.full((count, 32, 32, 3), 0.5), torch.ones(1, 32, 32)
    return Inpaint().run(handle, image, mask, "cat", steps=2, guidance_scale=2.0, seed=3)[0]


def lora(name: str, strength: float = 1.0, before=None):
    return LoadLoRA().run(f"{name}.safetensors", strength, before)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_loras_change_a_copy(kind):
    handle = load(kind)
    plain = drawn(kind, handle)
    apply = NODE_CLASS_MAPPINGS[f"TrilemmaApplyLoRATo{kind}"]
    with torch.inference_mode():
        (both,) = apply().run(handle, lora("b", -0.5, lora("a", 0.8)))
        (once,) = apply().run(handle, lora("a", 0.8))
    assert not is_close(drawn(kind, both), drawn(kind, once), 1e-3)
    assert is_close(drawn(kind, handle), plain)
    unet, changed = networks_of(kind, handle).unet, networks_of(kind, both).unet
    a, b = (lora(name)[0].lora.modules[Q] for name in "ab")
    expected = unet.get_parameter(f"{Q[5:]}.weight") + 0.8 * a["up"] @ a["down"] - 0.5 * b["up"] @ b["down"]
    assert torch.allclose(changed.get_parameter(f"{Q[5:]}.weight"), expected, atol=1e-6)
    assert not next(changed.parameters()).is_inference()
    # Networks that no LoRA changes are moved by the host as the same ones.
    assert both.patchers[1:] == handle.patchers[1:] and both.patchers[0] is not handle.patchers[0]
    model = both.model if kind == "Inpainter" else both.model.generator
    before = handle.model if kind == "Inpainter" else handle.model.generator
    assert [file.name for file in model.files[len(before.files) :]] == ["a.safetensors", "b.safetensors"]
    assert model.notes[-2:] == ("LoRA a.safetensors at 0.8", "LoRA b.safetensors at -0.5")
    assert model.identity != before.identity


@pytest.mark.parametrize("kind", KINDS)
def test_controlnets_steer(kind):
    handle, (net,) = load(kind), LoadControl().run("canny")
    apply = NODE_CLASS_MAPPINGS[f"TrilemmaApplyControlNetTo{kind}"]
    hint = torch.rand(2, 48, 48, 3)
    with torch.inference_mode():
        (steered,) = apply().run(handle, net, hint)
        (twice,) = apply().run(steered, net, hint, 0.5)
        (off,) = apply().run(handle, net, hint, 0.0)
    plain = drawn(kind, handle)
    assert not is_close(drawn(kind, steered), plain, 1e-3)
    assert not is_close(drawn(kind, twice), drawn(kind, steered), 1e-3)
    assert is_close(drawn(kind, off), plain)
    assert len(steered.patchers) == len(twice.patchers) == len(handle.patchers) + 1
    assert steered.patchers[-1] is net.patchers[0]


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_redrawn_with_what_a_model_carries(kind):
    handle, image = load(kind), torch.rand(2, 40, 33, 3)

    def redrawn(given, **settings):
        with torch.inference_mode():
            return Redraw().run(image, "cat", **{kind.lower(): given}, steps=4, **settings)["result"][0]

    plain = redrawn(handle, strength=0.5)
    assert plain.shape == image.shape
    assert torch.allclose(plain, redrawn(handle, strength=0.5, batch_size=2), atol=2e-5)
    assert not is_close(plain, redrawn(handle, strength=1.0), 1e-3)
    (adapted,) = NODE_CLASS_MAPPINGS[f"TrilemmaApplyLoRATo{kind}"]().run(handle, lora("a"))
    assert not is_close(plain, redrawn(adapted, strength=0.5), 1e-3)


def test_an_inpainter_and_a_generator_redraw_alike():
    image = torch.rand(1, 32, 32, 3)
    with torch.inference_mode():
        one, other = (Redraw().run(image, "cat", **{kind.lower(): load(kind)}, steps=4)["result"][0] for kind in KINDS)
    assert is_close(one, other)


def test_files_of_other_kinds_and_families_are_refused():
    with pytest.raises(BadCheckpoint, match=r"lora: vae\.safetensors holds a variational autoencoder"):
        lora("vae")
    with pytest.raises(BadCheckpoint, match=r"lora\.safetensors holds a LoRA; it belongs into models/loras"):
        LoadControl().run("lora.safetensors")
    (net,), hint = LoadControl().run("xl"), torch.rand(1, 8, 8, 3)
    for kind in KINDS:
        apply = NODE_CLASS_MAPPINGS[f"TrilemmaApplyControlNetTo{kind}"]
        with pytest.raises(BadInput, match="a ControlNet of a model that attends to 56 numbers, but it"):
            apply().run(load(kind), net, hint)


def test_what_draws_otherwise_takes_none():
    generator = NODE_CLASS_MAPPINGS["TrilemmaLoadGenerator"]().run("tiny.safetensors")["result"][0]
    for call in (
        lambda: NODE_CLASS_MAPPINGS["TrilemmaApplyLoRAToGenerator"]().run(generator, ()),
        lambda: Redraw().run(torch.rand(1, 8, 8, 3), "cat", generator=generator)["result"],
    ):
        with pytest.raises(BadInput, match="MNIST VAE is no Stable Diffusion model"):
            call()


def test_image_to_image_takes_one_model():
    image, handle = torch.rand(1, 8, 8, 3), load("Inpainter")
    with pytest.raises(BadInput, match="neither is connected"):
        Redraw().run(image, "cat")
    with pytest.raises(BadInput, match="both are connected"):
        Redraw().run(image, "cat", generator=handle, inpainter=handle)


def test_a_file_that_is_not_there_is_named():
    assert "loras" in LoadLoRA.VALIDATE_INPUTS("c.safetensors")
    assert "no controlnet named 'c.pth' is on this machine" in LoadControl.VALIDATE_INPUTS("c.pth")
    assert LoadLoRA.VALIDATE_INPUTS("a.safetensors") is True
    assert LoadLoRA.INPUT_TYPES()["required"]["lora"][0][2:] == ["a.safetensors", "b.safetensors", "vae.safetensors"]
    assert LoadControl.INPUT_TYPES()["required"]["model"][0] == ["canny", "lora.safetensors", "xl"]


def half(left: bool = True, side: int = 32) -> torch.Tensor:
    mask = torch.zeros(1, side, side)
    mask[..., : side // 2] = 1
    return mask if left else 1 - mask


Region, Compose = (NODE_CLASS_MAPPINGS[f"Trilemma{name}"] for name in ("LoRARegion", "ComposeLoRAs"))


def merged_over(kind: str, handle, loras):
    with torch.inference_mode():
        return NODE_CLASS_MAPPINGS[f"TrilemmaApplyLoRATo{kind}"]().run(handle, loras)[0]


def composed(kind: str, handle, *parts, isolate: bool = True):
    """parts: names of LoRAs with their masks and prompts."""
    found = None
    for name, mask, prompt in parts:
        found = Region().run(f"{name}.safetensors", mask, 1.0, prompt, found)[0]
    with torch.inference_mode():
        result = Compose().run(found, isolate=isolate, **{kind.lower(): handle})
    assert result[kind == "Inpainter"] is None
    return result[kind == "Generator"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_region_of_everything_is_the_lora_and_of_nothing_the_model(kind):
    handle = load(kind)
    plain, merged = drawn(kind, handle), drawn(kind, merged_over(kind, handle, lora("a")))
    assert not is_close(merged, plain, 1e-3)
    assert is_close(drawn(kind, composed(kind, handle, ("a", torch.ones(1, 8, 8), ""))), merged, 1e-4)
    assert is_close(drawn(kind, composed(kind, handle, ("a", torch.zeros(1, 8, 8), ""))), plain)
    assert is_close(drawn(kind, handle), plain)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_regions_depend_on_their_seeds_alone(kind):
    both = composed(kind, load(kind), ("a", half(), "a penguin"), ("b", half(False), "a rocket with a long prompt"))
    together = drawn(kind, both, 3)
    assert is_close(together[:1], drawn(kind, both, 1), 1e-4)
    assert not is_close(together, drawn(kind, load(kind), 3), 1e-3)


def test_regions_work_with_controlnets_and_merged_loras(models):
    handle = load("Generator")
    merged = merged_over("Generator", handle, lora("b"))
    both = composed("Generator", merged, ("a", half(), "a penguin"))
    (net,) = LoadControl().run("canny")
    hint = torch.rand(1, 32, 32, 3, generator=torch.Generator().manual_seed(1))
    steered = NODE_CLASS_MAPPINGS["TrilemmaApplyControlNetToGenerator"]().run(both, net, hint)[0]
    assert len(steered.patchers) == len(both.patchers) + 1 == len(handle.patchers) + 2
    assert not is_close(drawn("Generator", steered), drawn("Generator", both), 1e-3)


def test_one_model_is_composed():
    parts = Region().run("a.safetensors", half())[0]
    with pytest.raises(BadInput, match="inpainter, generator: neither is connected"):
        Compose().run(parts)
    with pytest.raises(BadInput, match="inpainter, generator: both are connected"):
        Compose().run(parts, load("Inpainter"), load("Generator"))


def test_starter_loras_are_listed_first_and_found():
    names = Region.INPUT_TYPES()["required"]["lora"][0]
    assert names[:2] == ["starter emoji penguin", "starter emoji rocket"] and "a.safetensors" in names
    for name in names[:2]:
        assert Region.VALIDATE_INPUTS(name) is True
        (weighted,) = LoadLoRA().run(name)[0]
        assert all("up" in module and "down" in module for module in weighted.lora.modules.values())
    assert "loras" in Region.VALIDATE_INPUTS("c.safetensors")
