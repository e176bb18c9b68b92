"""Guided diffusion: its networks and steps beside the numbers of its authors' code, and what its files tell."""

import json

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import binding, noise, upsampling
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.diffusion import adm
from trilemma.models.generators.diffusion.adm import layouts, memory, process
from trilemma.models.generators.diffusion.adm.network import Sizes, UNet
from trilemma.models.generators.diffusion.adm.process import COSINE, LINEAR, SpacedSampler
from trilemma.models.generators.loading import load_generator
from trilemma.models.random_weights import random_weights
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow

SYSTEM = "guided_diffusion"
NAMES = ("small_a", "small_b")


def flags(name: str) -> dict:
    """Of a case, as a configuration beside its file has them."""
    return json.loads((reference_kit.KIT / SYSTEM / f"manifest_{name}.json").read_text())["meta"]["flags"]


@pytest.fixture(scope="module", params=NAMES)
def loaded(request, tmp_path_factory):
    """A case, its inputs, and the generator of a file with a configuration beside it."""
    folder = tmp_path_factory.mktemp(request.param)
    case = reference_kit.case(SYSTEM, f"golden_{request.param}")
    torch.save(reference_kit.weights(case), folder / "model.pt")
    (folder / "config.json").write_text(json.dumps(flags(request.param)))
    given = {name: torch.from_numpy(value) for name, value in reference_kit.inputs(case).items()}
    return case, given, load_generator(folder / "model.pt")


@torch.no_grad()
def test_it_answers_as_its_reference(loaded):
    """The network; the Gaussian of the step before, of times 7 and 830; a step of DDIM; betas, also of 25 steps."""
    case, given, generator = loaded
    x, times = given["x"], given["t"]
    output = generator.network(x, times, given.get("y"))
    betas = process.betas_of(COSINE, 1000)
    whole = SpacedSampler(betas, range(1000), ancestral=True)
    rows = [whole.moments(output[row : row + 1], int(times[row]), x[row : row + 1]) for row in (0, 1)]
    steps = process.respaced(1000, "ddim25")
    assert steps == given["ddim25_timesteps"].tolist()
    strided = SpacedSampler(betas, steps, ancestral=False)
    at = torch.tensor(steps[5])
    answers = {
        "model_out": output,
        "p_mean": torch.cat([row.mean for row in rows]),
        "p_logvar": torch.cat([row.log_variance for row in rows]),
        "pred_xstart": torch.cat([row.foreseen for row in rows]),
        "betas": betas,
        "ddim25_betas": strided.betas,
        "ddim_step5_sample": strided.step(
            generator.network(x, at.expand(2), given.get("y")),
            at,
            x,
            noise.generators(noise.requests(2, 0, [Condition()])),
        ).prev_sample,
    }
    print(reference_kit.compare(case, answers))


def test_a_time_for_all_is_the_same_as_one_for_each(loaded):
    _, given, generator = loaded
    with torch.no_grad():
        both = generator.network(given["x"], torch.tensor([7, 7]), given.get("y"))
        shared = generator.network(given["x"], torch.tensor([7]), given.get("y"))
    assert_close(shared, both)


PUBLISHED = {
    "manifest.json": (64, 0, 64, False, COSINE),
    "manifest_128x128_diffusion.json": (128, 4, 64, True, LINEAR),
    "manifest_256x256_diffusion_uncond.json": (256, 0, 64, True, LINEAR),
}
"""Side, heads, channels of each, whether they are grouped, and the noise schedule, by the authors' flags."""


@pytest.mark.parametrize("file", PUBLISHED)
def test_published_files_are_told_by_their_shapes(file):
    entries = reference_kit.manifest(SYSTEM, file)
    tensors = {entry.name: torch.empty(entry.shape, device="meta") for entry in entries}
    assert adm.detect(Checkpoint(tensors, {}))
    sizes = layouts.sizes_of(tensors, file)
    told = layouts.told(sizes, {}, file)
    assert (told.side, told.heads, told.head_channels, told.grouped, told.schedule) == PUBLISHED[file]
    with torch.device("meta"):
        network = UNet(layouts.with_told(sizes, told))
    assert {name: value.shape for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in tensors.items()
    }


@pytest.mark.parametrize("layout", layouts.PUBLISHED)
def test_every_layout_of_the_table_is_told_from_the_others(layout):
    """Its network, built, tells the same layout by its shapes."""
    told = layouts.PUBLISHED[layout]
    attended = tuple(level in layout.attended for level in range(len(layout.widths)))
    sizes = Sizes(
        layout.channels,
        layout.widths,
        layout.blocks,
        attended,
        layout.inputs,
        6,
        layout.classes,
        layout.resampling_blocks,
        layout.scale_shift,
        told.heads,
        told.head_channels,
        told.grouped,
    )
    with torch.device("meta"):
        tensors = UNet(sizes).state_dict()
    found = layouts.sizes_of(tensors, "file")
    assert layouts.layout_of(found) == layout
    assert layouts.with_told(found, layouts.told(found, {}, "file")) == sizes
    shares = tuple(width / layout.channels for width in layout.widths)
    assert layouts.USUAL_SIDES[shares] == told.side or told.small_side == 128


def test_an_unknown_layout_asks_for_its_flags(tmp_path):
    case = reference_kit.case(SYSTEM, "golden_small_b")
    torch.save(reference_kit.weights(case), tmp_path / "model.pt")
    with pytest.raises(BadCheckpoint, match=r"config\.json.*image_size, num_heads.*noise_schedule"):
        load_generator(tmp_path / "model.pt")
    for name, value in {"num_channels": 128, "class_cond": True, "use_scale_shift_norm": True}.items():
        (tmp_path / "config.json").write_text(json.dumps({**flags("small_b"), name: value}))
        with pytest.raises(BadCheckpoint, match=f"says {name} = {value}.*do not belong together"):
            load_generator(tmp_path / "model.pt")
    for name, value in {
        "noise_schedule": "sigmoid",
        "image_size": 60,
        "num_heads": 5,
        "diffusion_steps": "many",
    }.items():
        (tmp_path / "config.json").write_text(json.dumps({**flags("small_b"), name: value}))
        with pytest.raises(BadCheckpoint, match=r"model\.pt, guided diffusion: its configuration"):
            load_generator(tmp_path / "model.pt")


def test_a_file_of_latents_is_not_claimed(tmp_path):
    """A latent diffusion model of CompVis has such a U-Net, whose pictures are not pixels."""
    tensors = {f"model.diffusion_model.{name}": value for name, value in UNet(tiny_sizes()).state_dict().items()}
    tensors["first_stage_model.quantize.embedding.weight"] = torch.zeros(4, 3)
    torch.save(tensors, tmp_path / "model.ckpt")
    with pytest.raises(BadCheckpoint, match="latent diffusion"):
        load_generator(tmp_path / "model.ckpt")


def tiny_sizes(**changes) -> Sizes:
    return Sizes(32, (32, 64), 1, (False, True), classes=3, head_channels=32)._replace(**changes)


def tiny(tmp_path, **changes) -> Bound:
    """A generator of `tiny_sizes`, or of another, of 1,000 steps; flags as it wants them."""
    inputs = changes.get("inputs", 3)
    torch.save(random_weights(UNet(tiny_sizes(**changes))), tmp_path / "model.pt")
    sides = {"image_size": 16} if inputs == 3 else {"large_size": 16, "small_size": 4}
    told = {**sides, "num_channels": 32, "num_head_channels": 32, "use_new_attention_order": True}
    (tmp_path / "config.json").write_text(json.dumps({**told, "noise_schedule": "linear", "predict_xstart": True}))
    return Bound(load_generator(tmp_path / "model.pt"))


def test_respacing_is_read_as_the_reference_reads_it():
    assert process.respaced(1000, "ddim25") == list(range(0, 1000, 40))
    assert process.respaced(1000, "250") == [round(place * 999 / 249) for place in range(250)]
    # Strides are added up, not multiplied: the eighth of 15 in 100 steps lies at 49.49999999999999, not at 49.5.
    assert process.respaced(300, "10, 15, 20") == [
        *range(0, 100, 11),
        *(100, 107, 114, 121, 128, 135, 142, 149, 157, 164, 171, 178, 185, 192, 199),
        *(200, 205, 210, 216, 221, 226, 231, 236, 242, 247, 252, 257, 263, 268, 273, 278, 283, 289, 294, 299),
    ]
    assert process.respaced(10, "1,1,0") == [0, 4]
    assert len(process.respaced(1000, "10,10,3,2,2")) == 27
    assert process.respaced(4000, "4000") == list(range(4000))
    for text in ("", "ddim", "ddim600", "1001", "10,", "-5", "2.5", "0", "600,10"):
        with pytest.raises(BadInput, match="respacing"):
            process.respaced(1000, text)


def test_spacings_are_as_their_names_say():
    assert process.spaced(1000, 4, "leading", True) == [0, 250, 500, 750]
    assert process.spaced(1000, 4, "trailing", True) == [249, 499, 749, 999]
    assert process.spaced(1000, 4, "linspace", True) == [0, 333, 666, 999]
    assert process.spaced(1000, 25, "model's own", False) == process.respaced(1000, "ddim25")
    assert process.spaced(1000, 25, "model's own", True) == process.respaced(1000, "25")


def test_options_choose_the_steps(tmp_path):
    bound = tiny(tmp_path)
    assert binding.total_steps(bound, 2) == 500
    for text, steps in {"ddim25": 25, "10,10,3,2,2": 27}.items():
        assert binding.total_steps(bound.with_options("diffusion", {"respacing": text}), 1) == steps
    with pytest.raises(CannotDo, match="respacing: it is for DDPM and DDIM"):
        binding.total_steps(bound.with_options("diffusion", {"respacing": "25", "sampler": "Euler"}), 1)
    with pytest.raises(CannotDo, match="eta: 1 is the share"):
        binding.total_steps(bound.with_options("diffusion", {"eta": 1.0}), 1)
    with pytest.raises(BadInput, match="Take 500 steps"):
        binding.total_steps(bound.with_options("diffusion", {"steps": 600, "spacing": "leading"}), 1)


@pytest.mark.parametrize("sampler", ["DDPM", "DDIM", "Euler", "Euler ancestral", "DPM-Solver++ 2M"])
def test_every_sampler_draws(tmp_path, sampler):
    bound = tiny(tmp_path).with_options("diffusion", {"sampler": sampler, "steps": 5})
    (batch,) = binding.sample(bound.with_conditions([Condition("2")]), 2, 7, 2)
    again = [each.images for each in binding.sample(bound.with_conditions([Condition("2")]), 2, 7, 1)]
    assert batch.images.shape == (2, 16, 16, 3)
    assert is_close(torch.cat(again), batch.images)
    other = next(binding.sample(bound.with_conditions([Condition("1")]), 2, 7, 2)).images
    assert not is_close(other, batch.images, 1e-3)


def test_variances_learned_or_not(tmp_path):
    """Without: the larger of the two, as the reference takes it unasked."""
    betas = process.betas_of(LINEAR, 1000)
    x = torch.randn(1, 3, 4, 4)
    fixed = SpacedSampler(betas, range(1000), True, learned=False)
    assert fixed.moments(x, 500, x).log_variance == pytest.approx(float(betas[500].log()))
    small = betas[1] * (1 - (1 - betas[0])) / (1 - (1 - betas[:2]).prod())
    assert fixed.moments(x, 0, x).log_variance == pytest.approx(float(small.log()))
    learned = SpacedSampler(betas, range(1000), True)
    most = learned.moments(torch.cat([x, torch.ones_like(x)], dim=1), 500, x).log_variance
    assert_close(most, betas[500].log().float().expand(1, 3, 4, 4))
    bound = tiny(tmp_path, outputs=3).with_options("diffusion", {"steps": 3})
    assert next(binding.sample(bound, 1, 0, 1)).images.shape == (1, 16, 16, 3)


def test_times_are_told_as_of_1000_where_the_training_did(tmp_path):
    bound = tiny(tmp_path)
    generator = bound.generator
    generator._told = generator._told._replace(steps=4000, rescaled=True)
    seen = []
    generator.network.register_forward_pre_hook(lambda module, given: seen.append(float(given[1])))
    predict = generator._network(torch.tensor([0]), (), False, 1)
    with torch.no_grad():
        predict(torch.zeros(1, 3, 16, 16), torch.tensor(3999))
    assert seen == [pytest.approx(999.75)]


def test_small_pictures_are_enlarged(tmp_path):
    """The network sees each beside the noise, stretched linearly; a picture depends on its own image and seed."""
    bound = tiny(tmp_path, inputs=6).with_options("diffusion", {"steps": 3})
    images = torch.rand(3, 4, 4, 3, generator=torch.Generator().manual_seed(1))
    told = []
    drawn = upsampling.upsample(bound, images, 5, 2, lambda done, preview=None: told.append(done))
    assert drawn.shape == (3, 16, 16, 3) and told[-1] == binding.total_steps(bound, 3)
    alone = upsampling.upsample(bound, images[1:2], 6, 1)
    assert_close(alone[0], drawn[1])
    other = upsampling.upsample(bound, 1 - images, 5, 3)
    assert not is_close(other, drawn, 1e-3)
    seen = []
    bound.generator.network.register_forward_pre_hook(lambda module, given: seen.append(given[0][:, 3:]))
    upsampling.upsample(bound, images, 5, 3)
    stretched = torch.nn.functional.interpolate(images.movedim(-1, 1) * 2 - 1, (16, 16), mode="bilinear")
    assert_close(seen[0], stretched)
    assert upsampling.small(bound, torch.rand(1, 9, 7, 3), "crop").shape == (1, 4, 4, 3)
    with pytest.raises(CannotDo, match="cannot sample; it can: upsample"):
        next(binding.sample(bound, 1, 0, 1))
    with pytest.raises(CannotDo, match="cannot upsample"):
        upsampling.small(tiny(tmp_path), images, "crop")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"resampling_blocks": False, "scale_shift": False},
        {"widths": (32, 32, 64, 96), "attended": (False, False, True, True)},
    ],
)
def test_memory_is_foreseen(changes):
    sizes = tiny_sizes(blocks=2, **changes)
    network = UNet(sizes).eval().requires_grad_(False)
    for count, side in ((1, 32), (3, 64)):
        x, labels = torch.randn(count, 3, side, side), torch.zeros(count, dtype=torch.int64)
        with torch.no_grad():
            peak = peak_bytes(lambda x=x, labels=labels: network(x, torch.tensor([7]), labels))
        ratio = 4 * count * memory.peak_floats(sizes, side) / peak
        print(f"{changes}, {count} of {side}: {ratio:.2f}")
        assert 0.85 < ratio < 1.2


def test_a_step_can_be_stopped_within(tmp_path, monkeypatch):
    """A network that takes long asks between its blocks."""
    monkeypatch.setattr("trilemma.models.steps.HEARD_EVERY", 0.0)
    monkeypatch.setattr("trilemma.models.generators.diffusion.base.LONG", 0)
    bound = tiny(tmp_path).with_options("diffusion", {"steps": 2})
    told = []

    def stop(done, preview=None):
        told.append(done)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        next(binding.sample(bound, 1, 0, 1, stop))
    assert told == [0]
    assert not any(module._forward_pre_hooks for module in bound.generator.network.modules())


def test_halves_are_close_to_singles(tmp_path):
    """As published scripts run it."""
    tiny(tmp_path)
    whole, half = (
        load_generator(tmp_path / "model.pt", lambda count, kind=kind: kind) for kind in (torch.float32, torch.bfloat16)
    )
    assert whole.identity == half.identity
    x = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        expected, found = (
            each._network(torch.tensor([1]), (), False, 1)(x, torch.tensor(500)) for each in (whole, half)
        )
    assert found.dtype == torch.float32
    assert np.abs((found - expected).numpy()).max() < 0.1 * expected.abs().max()
