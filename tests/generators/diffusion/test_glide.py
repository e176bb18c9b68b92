"""GLIDE: against its reference, in every published layout, from whole files."""

import json
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models import steps
from trilemma.models.errors import BadCheckpoint, CannotDo, MissingFile
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import binding, loading
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.diffusion.adm.process import COSINE, SpacedSampler, betas_of, guided, respaced
from trilemma.models.generators.diffusion.glide import files, stages, words
from trilemma.models.generators.diffusion.glide.network import Read
from trilemma.models.generators.diffusion.glide.stages import UPSAMPLING, Known
from trilemma.models.steps import quiet
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

TOLD = {"num_head_channels": 16, "xf_heads": 4}
BASES = ["golden_small_base", "golden_small_base_inpaint"]
UPSAMPLERS = ["golden_small_upsample", "golden_small_upsample_inpaint"]


@cache
def published(name):
    """The network of a case, its inputs and prompts."""
    row = reference_kit.case("glide", name)
    tensors = reference_kit.weights(row)
    network = files.build(tensors, TOLD, "the kit's")
    network.load_state_dict(tensors, assign=True)
    network.train(False).requires_grad_(False)
    inputs = {
        key: torch.from_numpy(value) for key, value in reference_kit.inputs(row).items() if value.dtype.kind != "U"
    }
    with np.load(reference_kit.KIT / row["golden_dev"]) as stored:
        prompts = json.loads(str(stored["in.prompts"]))
    return row, network, inputs, prompts


def known(inputs, side):
    """What the case says is known, of one picture."""
    if "inpaint_image" not in inputs:
        return None
    first, last = inputs["inpaint_mask_rows"].tolist()
    kept = torch.zeros(1, 1, side, side)
    kept[:, :, first:last] = 1
    return Known(inputs["inpaint_image"], kept)


def check(row, answers):
    print(row["case"], reference_kit.compare(row, answers))


@pytest.mark.parametrize("case", json.loads((reference_kit.KIT / "glide" / "golden_bpe_dev.json").read_text())["cases"])
def test_words_are_the_references(case):
    assert words.pieces(case["text"]) == case["ids"]
    tokens = words.tokens([case["text"]], 128)
    assert tokens.numbers[0, -4:].tolist() == case["padded128_last4"]
    assert tokens.there.sum() == case["mask128_true"]


@pytest.mark.parametrize("name", BASES)
@torch.no_grad()
def test_parity_of_the_base_model(name):
    """Of the text encoder, the U-Net, guidance, what is foreseen, and a step of DDIM."""
    row, network, inputs, prompts = published(name)
    found = words.tokens([*prompts, ""], network.text.length)
    assert torch.equal(found.numbers, inputs["tokens"])
    assert torch.equal(found.there, inputs["mask"].bool())
    texts = network.read(found)
    around = known(inputs, 64)
    answers = {
        "xf_proj": texts.told,
        "xf_out": texts.seen.transpose(1, 2),
        "model_out": stages.drawing(network, prompts, None, around)(inputs["x"], inputs["t"]),
    }
    if around is not None:
        answers["model_out_no_image"] = stages.drawing(network, prompts, None, None)(inputs["x"], inputs["t"])
    process = SpacedSampler(betas_of(COSINE, 1000), respaced(1000, "100"), ancestral=False)
    process.restrict = stages.restriction(around)
    times = process.timesteps.flip(0)
    assert torch.equal(times, inputs["timesteps_100"])
    index, scale = int(inputs["index"]), float(inputs["guidance_scale"])
    x = inputs["x"][:1]
    time = times[index]
    given = guided(stages.drawing(network, prompts[:1], [""], around), scale)(x, time)
    # The reference guides both halves, and leaves each its variances.
    without = stages.drawing(network, [""], None, around)(x, time)
    output = torch.cat([given, torch.cat([given[:, :3], without[:, 3:]], dim=1)])
    twice = x.repeat(2, 1, 1, 1)
    foreseen = process.moments(output, index, twice)
    answers |= {
        "cfg_model_out": output,
        "p_mean": foreseen.mean,
        "p_log_variance": foreseen.log_variance,
        "p_pred_xstart": foreseen.foreseen,
        "ddim_sample": process.step(output, time, twice).prev_sample,
        "betas_100": process.betas,
    }
    check(row, answers)


@pytest.mark.parametrize("name", UPSAMPLERS)
@torch.no_grad()
def test_parity_of_the_upsampler(name):
    row, network, inputs, prompts = published(name)
    around = known(inputs, 256)
    predict = stages.enlarging(network, prompts[:1], inputs["low_res_raw"], around)
    index = int(inputs["index"])
    answers = {
        "low_res": stages.eight_bit(inputs["low_res_raw"]),
        "model_out": predict(inputs["x"], inputs["t"]),
    }
    noised = inputs["x"] * (stages.TEMPERATURE if around is None else 1)
    process = stages.upsampling(around).scheduler
    assert list(UPSAMPLING) == inputs["timesteps_fast27"].tolist()
    time = torch.tensor(UPSAMPLING[index])
    output = predict(noised, time)
    foreseen = process.moments(output, index, noised)
    answers["betas_fast27"] = process.betas
    if around is None:
        answers["ddim_sample"] = process.step(output, time, noised).prev_sample
    else:
        answers |= {
            "p_mean": foreseen.mean,
            "p_log_variance": foreseen.log_variance,
            "p_pred_xstart": foreseen.foreseen,
        }
    check(row, answers)


@pytest.mark.parametrize("name", sorted(path.name for path in (reference_kit.KIT / "glide").glob("manifest*.json")))
def test_every_tensor_of_a_published_file_is_known(name):
    entries = reference_kit.manifest("glide", name)
    tensors = {entry.name: torch.empty(entry.shape, device="meta") for entry in entries}
    assert files.detect(Checkpoint(tensors, {}))
    network = files.build(tensors, TOLD if "small" in name else {}, "the kit's")
    assert {key: value.shape for key, value in network.state_dict().items()} == {k: v.shape for k, v in tensors.items()}


@pytest.fixture
def tiny(tmp_path):
    return files.tiny(tmp_path)


def pictures(generator, *conditions, steps=2, options=(), batch_size=1, count=2):
    bound = Bound(generator, {"steps": steps, **dict(options)}, tuple(Condition(*each) for each in conditions))
    return torch.cat([batch.images for batch in binding.sample(bound, count, 7, batch_size)])


def test_both_stages_draw_what_is_asked(tiny):
    generator = loading.load_generator(tiny)
    one = pictures(generator, ("a cat",))
    assert one.shape == (2, 32, 32, 3)
    assert (one[0] - one[1]).abs().max() > 0.05
    assert (pictures(generator, ("a dog",)) - one).abs().max() > 1e-3
    assert (pictures(generator, ("a cat", "a dog")) - one).abs().max() > 1e-3
    assert (pictures(generator, ("a cat",), options={"guidance_scale": 1.0}.items()) - one).abs().max() > 1e-3
    assert_close(pictures(generator, ("a cat",), batch_size=2), one)


@pytest.mark.parametrize("sampler", ["DDIM", "Euler", "DPM-Solver++ 2M"])
def test_other_samplers_come_to_pictures_too(sampler, tiny):
    generator = loading.load_generator(tiny)
    found = pictures(generator, ("a cat",), steps=4, options={"sampler": sampler}.items())
    assert found.isfinite().all()
    requests = binding.noise.requests(2, 7, [Condition("a cat")])
    options = {**generator.descriptor.options, "steps": 4, "sampler": sampler}
    with torch.no_grad():
        again = generator.decode(generator.latents(requests, options), requests, options, quiet)
    assert_close(again, found)


def test_a_sampler_that_would_round_off_is_refused(tiny):
    with pytest.raises(CannotDo, match="Euler ancestral"):
        pictures(loading.load_generator(tiny), ("a cat",), options={"sampler": "Euler ancestral"}.items())


def test_share_of_fresh_noise_is_of_ddim_alone(tiny):
    generator = loading.load_generator(tiny)
    settled = pictures(generator, ("a cat",), options={"sampler": "DDIM"}.items())
    fresh = pictures(generator, ("a cat",), options={"sampler": "DDIM", "eta": 1.0}.items())
    assert (fresh - settled).abs().max() > 1e-3
    with pytest.raises(CannotDo, match="eta"):
        pictures(generator, ("a cat",), options={"eta": 1.0}.items())


def test_a_step_stops_within(tiny, monkeypatch):
    """In a part of a network, where the progress of the step has not been told yet."""
    monkeypatch.setattr(steps, "HEARD_EVERY", 0.0)
    generator = loading.load_generator(tiny)
    told = []

    def stop(done, preview=None):
        told.append(done)
        if len(told) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        [*binding.sample(Bound(generator), 1, 0, 1, stop)]
    assert told == [0, 0, 0]


def test_long_prompts_are_told(tiny):
    generator = loading.load_generator(tiny)
    assert not generator.remark(Condition("a cat on a mat"))
    assert "first 6 of 9" in generator.remark(Condition("one two three four five six seven eight nine"))


@pytest.mark.parametrize(
    ("base", "upsampler"),
    [
        ("base.pt", "upsample.pt"),
        ("glide_base_inpaint.safetensors", "glide_upsample_inpaint.pt"),
        ("mine.safetensors", "my_upsampler.safetensors"),
    ],
)
def test_the_upsampler_is_found_beside(base, upsampler, tiny):
    identity = loading.load_generator(tiny).identity
    other = files.upsampler_of(tiny)
    for old, new in ((tiny, base), (other, upsampler)):
        path = old.with_name(new)
        if path.suffix == ".pt":
            torch.save(load_file(old), path)
            old.unlink()
        else:
            old.rename(path)
    (tiny.parent / "upsample_notes.txt").write_text("no weights")
    generator = loading.load_generator(tiny.with_name(base))
    assert generator.identity == identity
    assert [path.name for path in generator.files] == [base, upsampler, "config.json"]


def test_what_is_missing_is_named(tiny):
    other = files.upsampler_of(tiny)
    with pytest.raises(BadCheckpoint, match=r"it is the upsampler.*base_inpaint\.pt"):
        loading.load_generator(other)
    other.unlink()
    with pytest.raises(MissingFile, match=r"upsample_inpaint\.pt \(https://openaipublic.*upsample_inpaint\.pt\)"):
        loading.load_generator(tiny)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "num_head_channels|xf_heads"),
        ({"num_head_channels": 5, "xf_heads": 2}, "num_head_channels"),
        ({"num_head_channels": 16, "xf_heads": "two"}, "xf_heads"),
        ({"num_head_channels": 16, "xf_heads": 2, "image_size": 9}, "image_size"),
    ],
)
def test_what_shapes_do_not_tell_is_asked(told, said, tiny):
    (tiny.parent / "config.json").write_text(json.dumps(told))
    with pytest.raises(BadCheckpoint, match=said):
        loading.load_generator(tiny)


def test_the_order_of_texts_does_not_matter(tiny):
    network = loading.load_generator(tiny).glide.base
    found = stages.read(network, ["a cat", "", "a cat"])
    assert isinstance(found, Read)
    for part, alone in zip(found, stages.read(network, [""]), strict=True):
        assert torch.equal(part[0], part[2])
        assert torch.equal(part[1], alone[0])


def test_whole_files_of_the_kit_draw(tmp_path):
    """As their publisher names them, in the size that is published."""
    for case, name in (("golden_small_base", "base"), ("golden_small_upsample", "upsample")):
        save_file(reference_kit.weights(reference_kit.case("glide", case)), tmp_path / f"{name}.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TOLD))
    generator = loading.load_generator(tmp_path / "base.safetensors")
    described = generator.descriptor
    assert (described.height, described.width, described.latent_shape) == (256, 256, (3, 64, 64))
    assert generator.evaluations(described.options) == 2 * 100 + 27
