"""LoRAs in regions: whole masks are the merged LoRA, empty ones the model; what is apart does not see each other."""

import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.diffusion import tiny
from trilemma.models.diffusion.adapters import lora, lora_file, regions
from trilemma.models.diffusion.adapters.lora import Weighted
from trilemma.models.diffusion.adapters.regions import Composing, compose, region
from trilemma.models.diffusion.denoiser import predictor
from trilemma.models.diffusion.prompts import Encoded
from trilemma.models.diffusion.stable_diffusion import SecondEncoder, StableDiffusion
from trilemma.models.errors import BadInput
from trilemma.tests.closeness import assert_close, is_close

pytestmark = pytest.mark.slow

SIDE = 16
PIXELS = 4 * SIDE
BLIND = ("time_embedding", "conv_norm_out", "norm")


def model_of(seed: int = 0) -> StableDiffusion:
    torch.manual_seed(seed)
    return StableDiffusion(tiny.unet(), tiny.autoencoder(), tiny.text_encoder(), None, {})


def write(path, model, seed, rank=2, chosen=lambda name: True, plain=True):
    """A LoRA of every linear layer and convolution of the U-Net that sees a place."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, layer in model.unet.named_modules():
        if not isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)) or name.startswith("time_embedding"):
            continue
        if not chosen(name):
            continue
        flat = f"lora_unet_{name.replace('.', '_')}"
        shape = layer.weight.shape
        down = torch.randn(rank, *shape[1:], generator=generator) / shape[1:].numel() ** 0.5
        up = 0.7 * torch.randn(shape[0], rank, *[1] * (len(shape) - 2), generator=generator)
        if plain:
            tensors |= {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up}
            tensors[f"{flat}.alpha"] = torch.tensor(1.0)
        else:
            tensors[f"{flat}.diff"] = 0.1 * torch.randn(shape, generator=generator)
    save_file(tensors, path)
    return lora_file.read(path)


def inputs(rows=2, seed=3):
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(rows, 4, SIDE, SIDE, generator=generator)
    texts = [Encoded(torch.randn(tiny.POSITIONS, tiny.WIDTH, generator=generator)) for _ in range(rows)]
    return latents, texts


def answer(model, latents, texts, negative=None, frames=None):
    composing = None
    if model.composition is not None:
        negative, frames = negative or [False] * len(texts), frames or list(range(len(texts)))
        composing = Composing(model.composition, texts, negative, frames, (PIXELS, PIXELS), (PIXELS, PIXELS))
    predict = predictor(model, texts, PIXELS, PIXELS, None, None, composing)
    with torch.no_grad():
        return predict(latents, torch.tensor(500))


def half(left: bool) -> torch.Tensor:
    mask = torch.zeros(1, PIXELS, PIXELS)
    mask[:, :, : PIXELS // 2] = 1
    return mask if left else 1 - mask


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("strength", [1.0, -0.6])
@pytest.mark.parametrize("isolate", [True, False])
def test_a_whole_mask_is_the_merged_lora(tmp_path, plain, strength, isolate):
    model = model_of()
    found = write(tmp_path / "a.safetensors", model, 1, plain=plain)
    latents, texts = inputs()
    whole = region([Weighted(found, strength)], torch.ones(1, 8, 8))
    merged = answer(lora.apply(model, [Weighted(found, strength)], "x"), latents, texts)
    assert_close(answer(compose(model, [whole], "x", isolate), latents, texts), merged)
    assert not is_close(merged, answer(model, latents, texts), relative=1e-2)


def test_two_loras_of_one_region_are_summed(tmp_path):
    model = model_of()
    both = [Weighted(write(tmp_path / f"{seed}.safetensors", model, seed), 0.5) for seed in (1, 2)]
    latents, texts = inputs()
    composed = compose(model, [region(both, torch.ones(1, 8, 8))], "x")
    assert_close(answer(composed, latents, texts), answer(lora.apply(model, both, "x"), latents, texts))


def test_equal_regions_over_one_another_are_one(tmp_path):
    """Overlaps are shares: two regions of the same LoRA everywhere are that LoRA once."""
    model = model_of()
    found = [Weighted(write(tmp_path / "a.safetensors", model, 1), 1.0)]
    latents, texts = inputs()
    twice = compose(model, [region(found, torch.ones(1, 8, 8))] * 2, "x")
    assert_close(answer(twice, latents, texts), answer(lora.apply(model, found, "x"), latents, texts))


def test_an_empty_mask_is_the_model(tmp_path):
    model = model_of()
    found = [Weighted(write(tmp_path / "a.safetensors", model, 1), 1.0)]
    latents, texts = inputs()
    empty = compose(model, [region(found, torch.zeros(1, 8, 8))], "x")
    assert_close(answer(empty, latents, texts), answer(model, latents, texts))


def test_the_model_itself_stays_as_it_is(tmp_path):
    model = model_of()
    latents, texts = inputs()
    before, processors = answer(model, latents, texts), dict(model.unet.attn_processors)
    composed = compose(model, [region([Weighted(write(tmp_path / "a.safetensors", model, 1), 1.0)], half(True))], "x")
    changed = answer(composed, latents, texts)
    assert not is_close(changed, before)
    assert composed.unet is model.unet and model.unet.attn_processors == processors
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.unet.modules())
    assert_close(answer(model, latents, texts), before)


def block_answers(model, composed, hidden, texts):
    """Of the first transformer alone: [R, C, SIDE, SIDE]."""
    block = model.unet.down_blocks[0].attentions[0]
    size = (PIXELS, PIXELS)
    composing = Composing(composed.composition, texts, [False] * len(texts), [0] * len(texts), size, size)
    with torch.no_grad(), composing.on(model.unet, list(range(len(texts))), (SIDE, SIDE)):
        return block(hidden, encoder_hidden_states=torch.stack([text.states for text in texts])).sample


@pytest.mark.parametrize("isolate", [True, False])
def test_regions_that_are_apart_do_not_see_each_others_lora(tmp_path, isolate):
    """What a transformer gives in the left half, with one LoRA there, and another or a third in the right half."""
    model = model_of()
    inner = [
        write(tmp_path / f"{n}.safetensors", model, n, chosen=lambda name: "transformer_blocks" in name)
        for n in (1, 2, 3)
    ]
    generator = torch.Generator().manual_seed(5)
    hidden = torch.randn(2, 16, SIDE, SIDE, generator=generator)
    _, texts = inputs()
    left = region([Weighted(inner[0], 1.0)], half(True))
    found = [
        block_answers(
            model, compose(model, [left, region([Weighted(other, 1.0)], half(False))], "x", isolate), hidden, texts
        )
        for other in inner[1:]
    ]
    assert is_close(found[0][..., : SIDE // 2], found[1][..., : SIDE // 2]) is isolate
    assert not is_close(found[0][..., SIDE // 2 :], found[1][..., SIDE // 2 :])


def test_each_region_attends_to_its_own_prompt_and_what_is_left_to_that_of_all(tmp_path, monkeypatch):
    model = model_of()
    generator = torch.Generator().manual_seed(7)
    spoken = {text: torch.randn(tiny.POSITIONS, tiny.WIDTH, generator=generator) for text in ("fox", "owl", "all")}
    monkeypatch.setattr(regions.prompts, "encoded", lambda parts, text: Encoded(spoken[text]))
    nothing = [Weighted(write(tmp_path / "a.safetensors", model, 1, chosen=lambda name: name.endswith("to_q")), 0.0)]
    hidden = torch.randn(1, 16, SIDE, SIDE, generator=generator)
    mask = torch.zeros(1, PIXELS, PIXELS)
    mask[:, :, : PIXELS // 4] = 1
    made = compose(model, [region(nothing, mask, "fox"), region(nothing, mask.flip(2), "owl")], "x", isolate=False)
    found = block_answers(model, made, hidden, [Encoded(spoken["all"])])
    block = model.unet.down_blocks[0].attentions[0]
    with torch.no_grad():
        whole = {text: block(hidden, encoder_hidden_states=states[None]).sample for text, states in spoken.items()}
    quarter = SIDE // 4
    assert_close(found[..., :quarter], whole["fox"][..., :quarter])
    assert_close(found[..., quarter:-quarter], whole["all"][..., quarter:-quarter])
    assert_close(found[..., -quarter:], whole["owl"][..., -quarter:])
    assert not is_close(whole["fox"], whole["all"])


def test_negative_prompts_stay_as_they_are_and_prompts_may_differ_in_length(tmp_path, monkeypatch):
    model = model_of()
    generator = torch.Generator().manual_seed(7)
    long = torch.randn(2 * tiny.POSITIONS, tiny.WIDTH, generator=generator)
    monkeypatch.setattr(regions.prompts, "encoded", lambda parts, text: Encoded(long))
    nothing = [Weighted(write(tmp_path / "a.safetensors", model, 1, chosen=lambda name: name.endswith("to_q")), 0.0)]
    latents, texts = inputs()
    composed = compose(model, [region(nothing, torch.ones(1, 8, 8), "a long prompt")], "x")
    found = answer(composed, latents, texts, negative=[True, False])
    assert_close(found[0], answer(model, latents[:1], texts[:1])[0])
    assert_close(found[1], answer(model, latents[1:], [Encoded(long)])[0])


def test_a_sample_does_not_depend_on_its_batch_and_has_its_own_mask(tmp_path):
    model = model_of()
    found = [Weighted(write(tmp_path / "a.safetensors", model, 1), 1.0)]
    latents, texts = inputs(3)
    masks = torch.cat([half(True), half(False), torch.zeros(1, PIXELS, PIXELS)])
    composed = compose(model, [region(found, masks)], "x")
    together = answer(composed, latents, texts)
    for row in range(3):
        alone = answer(composed, latents[row : row + 1], texts[row : row + 1], frames=[row])
        assert_close(together[row : row + 1], alone)
    assert_close(together[2:], answer(model, latents[2:], texts[2:]))
    assert_close(answer(composed, latents[:1], texts[:1], frames=[3]), together[:1])


def test_what_is_no_region_is_refused(tmp_path):
    model = model_of()
    save_file(
        {
            "lora_unet_time_embedding_linear_1.lora_down.weight": torch.ones(1, 16),
            "lora_unet_time_embedding_linear_1.lora_up.weight": torch.ones(64, 1),
        },
        tmp_path / "time.safetensors",
    )
    blind = [Weighted(lora_file.read(tmp_path / "time.safetensors"), 1.0)]
    with pytest.raises(BadInput, match=r"time\.safetensors changes layers that see no place"):
        compose(model, [region(blind, half(True))], "x")
    torch.manual_seed(0)
    xl = StableDiffusion(
        tiny.xl_unet(), tiny.autoencoder(), tiny.text_encoder(), None, {}, SecondEncoder(tiny.second_encoder(), None)
    )
    with pytest.raises(BadInput, match="this model is XL"):
        compose(xl, [region([], half(True))], "x")
    other = StableDiffusion(tiny.unet(width=24), tiny.autoencoder(), tiny.text_encoder(), None, {})
    found = [Weighted(write(tmp_path / "other.safetensors", other, 1), 1.0)]
    with pytest.raises(BadInput, match=r"a LoRA of .*, but it is to be laid over x"):
        compose(model, [region(found, half(True))], "x")


def test_masks_and_prompts_tell_compositions_apart(tmp_path):
    from trilemma.models.weights import identity_of

    model = model_of()
    found = [Weighted(write(tmp_path / "a.safetensors", model, 1), 1.0)]
    made = [compose(model, [region(found, mask)], "x") for mask in (half(True), half(False), half(True))]
    a, b, c = (identity_of(each.modules) for each in made)
    assert a == c != b
