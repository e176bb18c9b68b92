"""The nodes of the menu Trilemma/Inpaint, run by the stand-in host."""

import pytest
import torch
from trilemma import host
from trilemma.host import standalone
from trilemma.models.diffusion import samplers, tiny
from trilemma.models.diffusion.original_layout import V2
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.pictures.packed import pack
from trilemma.models.values import Objects, SegmentedObject
from trilemma.nodes import NODE_CLASS_MAPPINGS

pytestmark = pytest.mark.slow

Crop, Stitch, Load, Inpaint = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in ("CropObjects", "StitchObjects", "LoadInpainter", "InpaintByText")
)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A models folder with a tiny diffusers folder, and a file that is something else."""
    root = tmp_path_factory.mktemp("models")
    (root / "diffusers" / "mine").mkdir(parents=True)
    tiny.write_stable_diffusion(root / "diffusers" / "mine", "StableDiffusionInpaintPipeline", channels=9)
    (root / "checkpoints").mkdir()
    torch.save({"Mixed_5b.branch1x1.conv.weight": torch.zeros(1)}, root / "checkpoints" / "other.pth")
    return root


@pytest.fixture(autouse=True)
def folders(models, monkeypatch):
    monkeypatch.setitem(standalone._places, "models", models)


@pytest.fixture(scope="module")
def inpainter(models):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(standalone._places, "models", models)
        with torch.inference_mode():
            return Load().run("mine/tiny")[0]


def scene(frames: int = 2, height: int = 60, width: int = 80) -> torch.Tensor:
    return torch.rand(frames, height, width, 4, generator=torch.Generator().manual_seed(1))


def two_objects(frames: int = 2, height: int = 60, width: int = 80) -> Objects:
    masks = torch.zeros(2, height, width, dtype=torch.bool)
    masks[0, 10:22, 10:20] = True
    masks[1, 30:50, 40:72] = True
    items = (SegmentedObject(frame, (0, 0, 9, 9), "cat", 0.9, pack(mask)) for frame, mask in enumerate(masks))
    return Objects(tuple(items), frames, height, width)


@torch.inference_mode()
def edit(inpainter: host.Handle, image: torch.Tensor, **source) -> tuple:
    crops = Crop().run(image, inpainter=inpainter, **source)
    painted = Inpaint().run(inpainter, crops[0], crops[1], "cat", steps=2, batch_size=4)[0]
    return *Stitch().run(crops[2], painted), *crops, painted


def test_the_loader_lists_starters_first_and_the_users_models_after():
    names = Load.INPUT_TYPES()["required"]["model"][0]
    assert names[0] == "starter emoji inpainter"
    assert names[1:] == ["other.pth", "mine/tiny"]
    assert Load.VALIDATE_INPUTS("mine/tiny") is True


def test_a_missing_model_says_where_it_comes_from():
    message = Load.VALIDATE_INPUTS("sd-v1-5-inpainting.ckpt")
    assert "4,265,437,280 bytes" in message
    assert "checkpoints" in message


def test_another_kind_of_file_is_named():
    with pytest.raises(
        Exception,
        match=r"holds an Inception-v3 network; .* the pack reads these inpainters",
    ):
        Load().run("other.pth")


def test_the_loader_sees_a_replaced_file(models):
    before = Load.IS_CHANGED("mine/tiny")
    (models / "diffusers" / "mine" / "tiny" / "note.txt").write_text("new")
    assert Load.IS_CHANGED("mine/tiny") != before


def test_a_loaded_model_can_serve_gradients(inpainter):
    weight = next(inpainter.model.modules[0].parameters())
    assert not weight.is_inference()
    assert len(inpainter.patchers) == 3


def test_objects_are_repainted_and_stitched(inpainter):
    image = scene()
    kept = image.clone()
    result, seam, report, pasted, pictures, masks, crops, own, painted = edit(inpainter, image, objects=two_objects())
    assert pictures.shape == painted.shape == (2, 32, 32, 3)
    assert masks.shape == own.shape == (2, 32, 32)
    assert bool((own <= masks).all()) and 0 < own.sum() < masks.sum()
    assert result.shape == image.shape
    assert torch.equal(result[..., 3], kept[..., 3])
    assert torch.equal(image, kept)
    assert [region.frame for region in crops.regions] == [0, 1]
    changed = (result != kept).any(dim=-1)
    assert changed[0, 10:22, 10:20].float().mean() > 0.9
    assert not bool(changed[pasted == 0].any())
    assert pasted.shape == (2, 60, 80) and pasted[0, 10:22, 10:20].min() == 1
    assert not bool(changed[0, :2].any())
    assert 0 < seam < 1
    assert report.startswith("picture 0, image 0: seam ")


def test_nothing_to_repaint_gives_the_images_back(inpainter):
    image = scene()
    for source in ({"objects": Objects((), 2, 60, 80)}, {"mask": torch.zeros(1, 64, 64)}):
        result, seam, report, pasted, pictures, *_ = edit(inpainter, image, **source)
        assert torch.equal(result, image)
        assert pictures.shape == (1, 32, 32, 3)
        assert seam == 0
        assert not bool(pasted.any())
        assert "pass through" in report


@torch.inference_mode()
def test_the_starter_says_what_it_does_not_draw():
    (starter,) = Load().run("starter emoji inpainter")
    image, mask = torch.rand(1, 32, 32, 3), torch.zeros(1, 32, 32)
    said = Inpaint().run(starter, image, mask, "an old man on a bench")["ui"]["text"][0]
    assert said.startswith(
        "'an old man on a bench' is none of the 13 names that this starter inpainter knows; nearest: "
    )
    assert "load a Stable Diffusion inpainting model" in said
    assert isinstance(Inpaint().run(starter, image, mask, "a red mushroom"), tuple)


@pytest.mark.parametrize("dust", [4.6e-5, 1 / 255])
def test_dust_is_no_hole(inpainter, dust):
    """A lossy mask's background, and what ComfyUI reads of an opaque GIF."""
    image, mask = scene(1), torch.full((1, 60, 80), dust)
    mask[:, 20:30, 40:60] = 255 / 256
    shown = Crop().run(image, mask=mask, grow=0, soften=0)
    (region,) = shown["result"][2].regions
    assert (region.mask_x, region.mask_y, *region.mask.shape) == (40, 20, 10, 20)
    assert region.mask.eq(1).all()
    assert "mask: 4,600 of 4,800 values lie below mask_threshold 0.1" in shown["ui"]["text"][0]
    assert Crop().run(image, mask=mask, grow=0, soften=0, mask_threshold=0.0)[2].regions[0].mask.shape == (60, 80)
    painted = Inpaint().run(inpainter, image, mask, "cat", steps=2)
    kept = mask[0] < 0.1
    assert torch.equal(painted["result"][0][0, kept], image[0, kept])
    assert not torch.equal(painted["result"][0][0, ~kept], image[0, ~kept])
    assert "4,600 of 4,800" in painted["ui"]["text"][0]
    nothing = Crop().run(image, mask=torch.full((1, 60, 80), dust))
    assert not nothing["result"][2].regions


def test_resolution_is_rounded_up_and_gives_way_to_a_model(inpainter):
    image, mask = scene(1)[..., :3], torch.ones(1, 60, 80)
    assert Crop().run(image, mask=mask, resolution=100, size_multiple=64)[0].shape == (1, 128, 128, 3)
    assert Crop().run(image, mask=mask, inpainter=inpainter, resolution=100)[0].shape == (1, 32, 32, 3)


def test_the_lists_of_samplers_are_one():
    options = NODE_CLASS_MAPPINGS["TrilemmaDiffusionOptions"].INPUT_TYPES()["optional"]
    scheduler = Inpaint.INPUT_TYPES()["optional"]["scheduler"]
    assert scheduler[0] == options["sampler"][0] == list(samplers.NAMES)
    assert scheduler[1]["default"] == options["sampler"][1]["default"] == samplers.OWN


def test_seeds_and_batch_sizes(inpainter):
    image, mask = scene(3)[..., :3], torch.ones(1, 60, 80)
    one, three = (Inpaint().run(inpainter, image, mask, "cat", seed=4, steps=2, batch_size=n)[0] for n in (1, 3))
    assert torch.allclose(one, three, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda handle: Crop().run(scene()), "neither is connected"),
        (lambda handle: Crop().run(scene(), objects=two_objects(), mask=torch.ones(1, 60, 80)), "both are connected"),
        (lambda handle: Crop().run(scene(), objects=two_objects(height=61)), "objects: they were segmented"),
        (lambda handle: Crop().run(scene() * torch.nan, mask=torch.ones(1, 60, 80)), "NaN"),
        (lambda handle: Inpaint().run(handle, scene(), torch.ones(1, 60, 90), "cat"), "aspect"),
        (lambda handle: Inpaint().run(handle, scene(2), torch.ones(3, 60, 80), "cat"), "3 masks for 2 images"),
        (lambda handle: Inpaint().run(handle, scene(), torch.ones(1, 60, 80), "cat", steps=0), "steps: 0"),
        (lambda handle: Inpaint().run(handle, scene()[0], torch.ones(1, 60, 80), "cat"), "expected images of shape"),
    ],
)
def test_bad_input(inpainter, call, words):
    with pytest.raises(BadInput, match=words):
        call(inpainter)


@pytest.mark.parametrize("text", ["prompt", "negative_prompt"])
def test_half_a_character_is_refused(inpainter, text):
    """As broken JSON holds it; the tokenizer would speak of its types."""
    inputs = {"prompt": "a cat", text: "a cat \ud83d"}
    image, mask = torch.rand(1, 16, 16, 3), torch.ones(1, 16, 16)
    with pytest.raises(BadInput, match=rf"^{text}: .*ud83d.* holds half a character"):
        NODE_CLASS_MAPPINGS["TrilemmaInpaintByText"]().run(inpainter, image, mask, steps=1, **inputs)


def test_an_image_of_one_pixel(inpainter):
    image, mask = torch.rand(1, 1, 1, 3), torch.ones(1, 1, 1)
    result, *_ = edit(inpainter, image, mask=mask)
    assert result.shape == (1, 1, 1, 3)


def test_an_interrupt_comes_out_within_a_step(inpainter):
    standalone.interrupt()
    with pytest.raises(standalone.Interrupted):
        Inpaint().run(inpainter, scene(1)[..., :3], torch.ones(1, 60, 80), "cat", steps=50)


def test_what_a_file_does_not_tell_is_set(models):
    """Of a base model of Stable Diffusion 2, tensors do not tell what it foresees."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(tiny.write_single_file(models, 4, V2))
    del tensors["v_pred"]
    save_file(tensors, models / "checkpoints" / "v2-1_768.safetensors")
    with pytest.raises(BadCheckpoint, match="in its loader set prediction to one of them"):
        Load().run("v2-1_768.safetensors")
    for name, foresees in (("velocity", "v_prediction"), ("noise", "epsilon")):
        (handle,) = Load().run("v2-1_768.safetensors", prediction=name)
        assert handle.model.networks.scheduler_config["prediction_type"] == foresees
    (models / "checkpoints" / "v2-1_768.safetensors").unlink()
