"""ControlNets: the kit's numbers and names, and pictures as the pipelines of diffusers draw them."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models import weights
from trilemma.models.diffusion import networks, original_layout, single_file, tiny
from trilemma.models.diffusion.adapters import control, controlnet
from trilemma.models.diffusion.adapters.controlnet import CONTROLNETS, ControlNet, load_controlnet
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators.diffusion.latent_diffusion import TextToImage
from trilemma.models.inpainting.stable_diffusion import StableDiffusionInpainter
from trilemma.models.weights import empty_weights
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.families import checks, kinds
from trilemma.tests.generators.diffusion import tiny_diffusion
from trilemma.tests.inpainting import tiny as tiny_inpainter
from trilemma.tests.inpainting.tiny import inpaint

pytestmark = pytest.mark.slow

KIT = Path(os.environ.get("TRILEMMA_REFERENCE_KIT", reference_kit.KIT)) / "controlnet"
CASE = reference_kit.case("controlnet", "golden_small")
SIZE = 32


def test_answers_are_those_of_the_kit():
    """Of the original code, under the conversion and the shapes' sizes; heads, which no shape tells, are its 4."""
    tensors = controlnet.renamed(reference_kit.weights(CASE))
    settings = controlnet.configuration(tensors, heads=4)
    network = controlnet.build(settings, tensors, weights.full_precision, "kit")
    given = {name: torch.from_numpy(value) for name, value in reference_kit.inputs(CASE).items()}
    with torch.no_grad():
        downs, middle = network(
            given["x"], given["t"], given["context"].float(), given["hint"].float(), return_dict=False
        )
        hint = network.controlnet_cond_embedding(given["hint"].float())
    found = {f"control{place:02}": answer for place, answer in enumerate([*downs, middle])}
    differences = reference_kit.compare(CASE, {**found, "hint_embedding": hint}, atol=1e-5, rtol=1e-4)
    assert len(differences) == 14


def shapes_of(manifest: str) -> dict[str, torch.Tensor]:
    entries = json.loads((KIT / manifest).read_text())["entries"]
    return {name: torch.empty(shape, device="meta") for name, shape, _ in entries}


def test_published_files_are_accounted_for():
    """340 tensors of each layout of SD 1.5, of full size, and the same network from both."""
    original, theirs = shapes_of("manifest_sd15_original.json"), shapes_of("manifest_sd15_diffusers.json")
    expected = controlnet.published(original_layout.BASE)
    assert {controlnet.PREFIX + name: tuple(shape) for name, shape in expected.items()} == {
        name: tuple(value.shape) for name, value in original.items()
    }
    tensors = controlnet.renamed(original)
    assert {name: value.shape for name, value in tensors.items()} == {name: each.shape for name, each in theirs.items()}
    settings = controlnet.configuration(theirs)
    assert settings == controlnet.configuration(tensors)
    from diffusers import ControlNetModel

    with empty_weights():
        network = ControlNetModel(**settings)
    weights.check_fit({name: value.shape for name, value in network.state_dict().items()}, theirs, "file")
    assert sum(parameter.numel() for parameter in network.parameters()) == 361_279_120


@pytest.mark.parametrize("version", [original_layout.V2, original_layout.XL])
def test_larger_families_are_accounted_for(version):
    """As diffusers makes a ControlNet for a U-Net of full size."""
    from diffusers import ControlNetModel

    sizes = original_layout.PUBLISHED[version]
    shapes = controlnet.published(sizes)
    tensors = controlnet.renamed({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    parts = single_file.configurations(sizes)
    unet = networks.build(*(parts[part] for part in networks.Networks._fields)).unet
    with empty_weights():
        network = ControlNetModel(**controlnet.configuration(tensors))
        theirs = ControlNetModel.from_unet(unet, load_weights_from_unet=False)
    for each in (network, theirs):
        weights.check_fit({name: value.shape for name, value in each.state_dict().items()}, tensors, "file")
    assert network.config.attention_head_dim == theirs.config.attention_head_dim
    assert network.config.addition_embed_type == theirs.config.addition_embed_type


def loaded(folder: Path, xl: bool = False) -> ControlNet:
    torch.manual_seed(3)
    network = tiny.control_network(xl)
    network.save_pretrained(folder / "control")
    return load_controlnet(folder / "control")


def hint(count: int = 1, side: int = SIZE) -> torch.Tensor:
    return torch.rand(count, side, side, 3, generator=torch.Generator().manual_seed(5))


def painting(count: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.zeros(count, SIZE, SIZE)
    mask[:, 8:24, 8:24] = 1
    return torch.rand(count, SIZE, SIZE, 3, generator=torch.Generator().manual_seed(6)), mask


def xl_pipeline(folder: Path, channels: int, seed: int = 1):
    import diffusers

    base = tiny_inpainter.pipeline(folder, channels=4, vae="kl")
    torch.manual_seed(seed)
    return {
        "vae": base.vae,
        "text_encoder": base.text_encoder,
        "text_encoder_2": tiny.second_encoder(),
        "tokenizer": base.tokenizer,
        "tokenizer_2": base.tokenizer,
        "unet": tiny.xl_unet(channels),
        "scheduler": diffusers.DDIMScheduler.from_config(base.scheduler.config),
    }


@pytest.mark.parametrize(
    ("channels", "xl", "strength", "window"),
    [(9, False, 1.0, (0.0, 1.0)), (4, False, 0.6, (0.0, 1.0)), (4, False, 1.0, (0.2, 0.7)), (4, True, 0.6, (0.0, 0.6))],
)
def test_inpaints_as_the_pipeline_of_diffusers(tmp_path, channels, xl, strength, window):
    import diffusers

    net = loaded(tmp_path, xl)
    image, mask = painting()
    settings = {"num_inference_steps": 5, "guidance_scale": 4.0, "strength": strength, "output_type": "pt"}
    asked = {
        "prompt": "red cat",
        "negative_prompt": "dog",
        "image": image.movedim(-1, 1),
        "mask_image": mask[:, None],
        "control_image": hint().movedim(-1, 1),
        "height": SIZE,
        "width": SIZE,
        "controlnet_conditioning_scale": 0.7,
        "control_guidance_start": window[0],
        "control_guidance_end": window[1],
        "generator": [torch.Generator().manual_seed(7)],
    }
    if xl:
        parts = xl_pipeline(tmp_path, channels)
        made = diffusers.StableDiffusionXLControlNetInpaintPipeline(
            **parts, controlnet=net.network, add_watermarker=False
        )
        networks = tiny_inpainter.networks_of_xl(made)
    else:
        base = tiny_inpainter.pipeline(tmp_path, channels, "kl")
        parts = {name: getattr(base, name) for name in ("vae", "text_encoder", "tokenizer", "unet", "scheduler")}
        made = diffusers.StableDiffusionControlNetInpaintPipeline(
            **parts,
            controlnet=net.network,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        networks = tiny_inpainter.networks_of(made)
    made.set_progress_bar_config(disable=True)
    expected = made(**asked, **settings).images.movedim(1, -1)
    steering = control.control(net, hint(), 0.7, *window)
    ours = StableDiffusionInpainter(networks._replace(controls=(steering,)))
    own = {"steps": 5, "guidance_scale": 4.0, "strength": strength, "seed": 7}
    found = inpaint(ours, image, mask, "red cat", "dog", **own)
    hole = mask > 0
    assert torch.allclose(found[hole], expected[hole], atol=2e-5, rtol=0)
    assert torch.equal(found[~hole], image[~hole])
    plain = inpaint(StableDiffusionInpainter(networks), image, mask, "red cat", "dog", **own)
    assert not is_close(plain[hole], found[hole], 1e-3)
    assert net.network in ours.modules


def test_draws_as_the_pipeline_of_diffusers(tmp_path):
    import diffusers

    net = loaded(tmp_path)
    base = tiny_inpainter.pipeline(tmp_path, 4, "kl")
    parts = {name: getattr(base, name) for name in ("vae", "text_encoder", "tokenizer", "unet", "scheduler")}
    made = diffusers.StableDiffusionControlNetPipeline(
        **parts, controlnet=net.network, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    made.set_progress_bar_config(disable=True)
    expected = made(
        prompt="red cat",
        negative_prompt="dog",
        image=hint().movedim(-1, 1),
        height=SIZE,
        width=SIZE,
        num_inference_steps=4,
        guidance_scale=4.0,
        generator=[torch.Generator().manual_seed(3)],
        output_type="np",
    ).images
    networks = tiny_inpainter.networks_of(made)
    ours = TextToImage(networks._replace(controls=(control.control(net, hint()),)))
    bound = tiny_diffusion.bound(ours, ["red cat"], "dog", steps=4, guidance_scale=4.0)
    found = tiny_diffusion.images(bound, 1, seed=3)
    assert torch.allclose(found, torch.from_numpy(expected), atol=2e-5, rtol=0)


def test_every_sample_has_its_own_hint_whatever_the_batch(tmp_path):
    """And prompts of unlike lengths, of which ControlNets take no mask."""
    ours = TextToImage(tiny_inpainter.networks_of(tiny_inpainter.pipeline(tmp_path, 4, "kl")))
    ours = ours.with_networks(ours.networks._replace(controls=(control.control(loaded(tmp_path), hint(2)),)), (), ())
    bound = tiny_diffusion.bound(ours, ["cat", "a red cat and a blue dog"], steps=2, guidance_scale=2.0)
    alone, together = (tiny_diffusion.images(bound, 4, batch_size=size) for size in (1, 3))
    assert torch.allclose(alone, together, atol=2e-5, rtol=0)
    swapped = ours.with_networks(
        ours.networks._replace(controls=(ours.networks.controls[0]._replace(hints=hint(2).flip(0)),)), (), ()
    )
    other = tiny_diffusion.images(
        tiny_diffusion.bound(swapped, ["cat", "a red cat and a blue dog"], steps=2, guidance_scale=2.0), 4
    )
    assert not any(is_close(ours, theirs, 1e-4) for ours, theirs in zip(alone, other, strict=True))


def test_images_without_holes_do_not_move_the_hints(tmp_path):
    """The hint of image i is hint i, also where images before it are not run."""
    networks = tiny_inpainter.networks_of(tiny_inpainter.pipeline(tmp_path, 4, "kl"))
    net = loaded(tmp_path)
    ours = StableDiffusionInpainter(networks._replace(controls=(control.control(net, hint(3)),)))
    images, masks = painting(3)
    masks[1] = 0
    settings = {"steps": 2, "guidance_scale": 2.0}
    found = inpaint(ours, images, masks, "cat", batch_size=3, seed=4, **settings)
    last = StableDiffusionInpainter(networks._replace(controls=(control.control(net, hint(3)[2:]),)))
    alone = inpaint(last, images[2:], masks[2:], "cat", seed=6, **settings)
    assert torch.allclose(found[2:], alone, atol=2e-5, rtol=0)


def test_hints_are_brought_to_size_and_holes_stay_holes(tmp_path):
    net = loaded(tmp_path)
    mask = torch.zeros(1, 16, 16)
    mask[:, :8] = 1
    made = control.control(net, hint(1, 16), mask=mask)
    assert bool((made.hints[:, :8] == -1).all()) and float(made.hints[:, 8:].min()) >= 0
    fitted = control._fitted(made, [0, 1], (30, 20), (32, 32), (16, 16))
    assert fitted.shape == (2, 3, 32, 32)
    assert bool((fitted[:, :, :15] == -1).all())
    assert float(fitted[:, :, 15:].min()) >= 0
    assert torch.equal(fitted[:, :, :, 19], fitted[:, :, :, 31])


PUBLISHED_HINTS = (16, 32, 96, 256)


@pytest.mark.parametrize("nets", [(8, 16), (8, 16, 8, 16), PUBLISHED_HINTS], ids=["one", "two", "hints of 8 pixels"])
@pytest.mark.parametrize("kind", [kinds.INPAINTER, kinds.GENERATOR], ids=lambda kind: kind.registry.kind)
def test_memory_is_foreseen(kind, nets, tmp_path):
    """Within 0.7 to 1.5 of what is measured, as of models without: of an XL model that draws, else of one that does
    not."""
    xl = kind is kinds.GENERATOR
    name = "StableDiffusionXLPipeline" if xl else "StableDiffusionInpaintPipeline"
    (family,) = (family for family in kind.registry.families if family.name == name)
    model = kind.registry.load(family.tiny(tmp_path))
    hints = [nets] if nets == PUBLISHED_HINTS else [nets[:2]] * (len(nets) // 2)
    networks = [ControlNet(tiny.control_network(xl, hints=each).requires_grad_(False), "x") for each in hints]
    controls = tuple(control.control(net, hint()) for net in networks)
    steered = model.with_networks(model.networks._replace(controls=controls), (), ())
    checks.memory_is_foreseen(kind, steered, name, (2,))


def test_a_strength_of_nothing_is_no_control(tmp_path):
    networks = tiny_inpainter.networks_of(tiny_inpainter.pipeline(tmp_path, 4, "kl"))
    steering = control.control(loaded(tmp_path), hint(), 0.0)
    image, mask = painting()
    plain, steered = (
        inpaint(StableDiffusionInpainter(each), image, mask, "cat", steps=2)
        for each in (networks, networks._replace(controls=(steering,)))
    )
    assert_close(plain, steered)


def test_controlnets_of_another_family_are_refused_with_what_they_are(tmp_path):
    unet = tiny.unet()
    control.check(loaded(tmp_path), unet, "a model")
    for other in (loaded(tmp_path, xl=True), ControlNet(tiny.control_network(width=768), "x")):
        with pytest.raises(
            BadInput, match=r"a ControlNet of .* is to steer Stable Diffusion, .* attends to 32 numbers"
        ):
            control.check(other, unet, "Stable Diffusion")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": 0.5, "end": 0.5}, "start, end: 0.5 to 0.5 holds no step"),
        ({"hints": torch.full((1, 8, 8, 3), torch.nan)}, "hint"),
        ({"mask": torch.zeros(2, 16, 16)}, "2 masks"),
    ],
)
def test_bad_input(tmp_path, changes, words):
    with pytest.raises(BadInput, match=words):
        control.control(**{"net": loaded(tmp_path), "hints": hint(1, 16), **changes})


@pytest.mark.parametrize("family", CONTROLNETS.families, ids=lambda family: family.name)
def test_one_family_claims_a_file_and_reads_it_strictly(family, tmp_path):
    path = family.tiny(tmp_path)
    made = load_controlnet(path, lambda parameters: torch.bfloat16)
    assert {parameter.dtype for parameter in made.network.parameters()} == {torch.bfloat16}
    assert made.architecture == family.name
    assert made.files == family.files(path)
    file = next(path.glob("*.safetensors")) if path.is_dir() else path
    tensors = load_file(file)
    name = list(tensors)[7]
    for change in (lambda each: each.pop(name), lambda each: each.update({f"{name}.more": torch.zeros(1)})):
        broken = dict(tensors)
        change(broken)
        save_file(broken, file)
        with pytest.raises(BadCheckpoint):
            load_controlnet(path)


def test_every_published_layout_is_one_network(tmp_path):
    """With the prefix, without it, and inside of the checkpoint that it was trained with."""
    path = CONTROLNETS.families[0].tiny(tmp_path)
    tensors, identity = load_file(path), load_controlnet(path).identity
    bare = {name.removeprefix(controlnet.PREFIX): value for name, value in tensors.items()}
    whole = {
        **tensors,
        "model.diffusion_model.out.2.bias": torch.zeros(4),
        "first_stage_model.post_quant_conv.bias": torch.zeros(4),
    }
    theirs = controlnet.renamed(tensors)
    for number, written in enumerate((bare, whole, theirs)):
        save_file({name: value.contiguous() for name, value in written.items()}, tmp_path / f"{number}.safetensors")
        assert load_controlnet(tmp_path / f"{number}.safetensors").identity == identity


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["lora_unet_conv_in.lora_down.weight"], "holds a LoRA; it belongs into models/loras"),
        (["encoder.conv_in.weight", "decoder.conv_in.weight"], "holds a variational autoencoder"),
        (["conv_first.weight", "body.0.rdb1.conv1.weight"], r"holds an upscaler \(ESRGAN\)"),
        (["lora_controlnet"], "holds a Control-LoRA"),
        (["adapter.body.0.resnets.0.block1.weight", "adapter.conv_in.weight"], "holds a T2I-Adapter"),
        (["model.diffusion_model.input_blocks.0.0.weight"], "a Stable Diffusion checkpoint without VAE"),
    ],
)
def test_other_files_are_refused(names, words):
    tensors = {name: torch.empty(4, 4, device="meta") for name in names}
    with pytest.raises(BadCheckpoint, match=rf"x\.pth {words}|x\.pth holds {words}"):
        CONTROLNETS.claiming(Checkpoint(tensors, {}, path=Path("x.pth")), "x.pth")


def test_unions_and_differences_are_refused(tmp_path):
    tensors = load_file(CONTROLNETS.families[0].tiny(tmp_path))
    save_file({**tensors, "difference": torch.zeros(1)}, tmp_path / "diff.safetensors")
    union = {name: value.contiguous() for name, value in controlnet.renamed(tensors).items()}
    save_file({**union, "task_embedding": torch.zeros(1)}, tmp_path / "union.safetensors")
    with pytest.raises(BadCheckpoint, match="it holds differences from the weights of a base model"):
        load_controlnet(tmp_path / "diff.safetensors")
    with pytest.raises(BadCheckpoint, match="it is a ControlNet Union"):
        load_controlnet(tmp_path / "union.safetensors")
