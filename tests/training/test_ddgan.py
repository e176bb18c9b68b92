"""The recipe of the starter denoising diffusion GAN on a few pictures."""

import pytest
import torch
from trilemma.models.generators.diffusion.denoising_diffusion_gan.process import steps_of
from trilemma.models.generators.loading import load_generator
from trilemma.tests.closeness import assert_close, is_close
from trilemma.training import ddgan
from trilemma.training.adversarial import GROUP, Rules
from trilemma.training.loop import Schedule
from trilemma.training.pictures import SIZE, Pictures

pytestmark = pytest.mark.slow

START = Schedule(steps=3, rate=1e-3, horizon=9, warmup=1)
RULES = Rules(steps=3, batch=GROUP * ddgan.STEPS, cooldown=2, every=2, augmented=False)


def pictures() -> Pictures:
    images = torch.randint(0, 256, (8, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Pictures(images, torch.arange(8))


def test_an_interrupted_training_goes_on_as_if_it_were_not(tmp_path):
    """Stopped in the first part, then in the second."""
    whole, interrupted, again, resumed = (ddgan.build_game() for _ in range(4))
    ddgan.fit(whole, pictures(), tmp_path / "whole", START, RULES)
    (tmp_path / "parts").mkdir()
    ddgan.fit(interrupted, pictures(), tmp_path / "parts", START._replace(steps=2), RULES._replace(steps=0))
    # In both runs the rates are still whole at the first two steps.
    ddgan.fit(again, pictures(), tmp_path / "parts", START, RULES._replace(steps=2, cooldown=1))
    ddgan.fit(resumed, pictures(), tmp_path / "parts", START, RULES)
    before = ddgan.build_game().state_dict()
    changed = 0
    for name, value in whole.state_dict().items():
        assert_close(resumed.state_dict()[name], value)
        changed += not is_close(before[name], value)
    assert changed > len(before) / 2


def test_pairs_are_of_one_picture_at_the_noise_of_their_steps():
    """Of many constant pictures: both halves have the mean and the deviation of their levels, and what the step adds is
    between them; every GROUP of the discriminator is of one step."""
    count = 400 * ddgan.STEPS
    pairs, steps = ddgan.noised(torch.full((count, 3, 4, 4), 0.5), torch.Generator().manual_seed(0))
    for place, step in enumerate(steps_of(ddgan.STEPS)):
        less, more = pairs[steps == place].split(3, dim=1)
        for values, share in ((less, step.before), (more, step.after)):
            assert float(values.mean()) == pytest.approx(0.5 * share**0.5, abs=0.03)
            assert float(values.std()) == pytest.approx((1 - share) ** 0.5, abs=0.03)
        kept = step.after / step.before
        assert float((more - kept**0.5 * less).std()) == pytest.approx((1 - kept) ** 0.5, abs=0.03)
    assert (steps[: GROUP * ddgan.STEPS].unflatten(0, (GROUP, -1)) == steps[: ddgan.STEPS]).all()


class Oracle(torch.nn.Module):
    """Foresees the one clean picture that there is."""

    sizes = ddgan.SIZES

    def forward(self, x, time, z):
        return torch.full_like(x, 0.5)


def test_what_a_perfect_generator_draws_is_as_the_real_pairs_are():
    pairs, steps = ddgan.noised(torch.full((400 * ddgan.STEPS, 3, 4, 4), 0.5), torch.Generator().manual_seed(0))
    drawn = ddgan.draw(Oracle(), pairs, steps, torch.Generator().manual_seed(1))
    assert torch.equal(drawn[:, 3:], pairs[:, 3:])
    for place in range(ddgan.STEPS):
        ours, real = drawn[steps == place], pairs[steps == place]
        assert float((ours - real).mean()) == pytest.approx(0, abs=0.03)
        of_both = [torch.cov(each.transpose(0, 1)[[0, 3]].flatten(1)) for each in (ours, real)]
        torch.testing.assert_close(*of_both, atol=0.04, rtol=0)


def test_the_discriminator_is_told_the_step_and_sees_both_halves():
    torch.manual_seed(0)
    discriminator = ddgan.Discriminator()
    for times in discriminator.times:
        torch.nn.init.normal_(times.weight)
    pairs = torch.randn(GROUP, 6, SIZE, SIZE)
    with torch.no_grad():
        first, second = (discriminator(pairs, torch.full((GROUP,), step)) for step in (0, 1))
        other = discriminator(pairs.roll(3, dims=1), torch.zeros(GROUP, dtype=torch.int64))
    assert (first - second).abs().min() > 1e-6
    assert (first - other).abs().min() > 1e-6


def test_the_average_is_exported_in_the_published_layout(tmp_path):
    game = ddgan.build_game()
    ddgan.export(game, tmp_path / "starter")
    generator = load_generator(tmp_path / "starter")
    assert generator.descriptor.architecture == "denoising diffusion GAN"
    assert (generator.descriptor.height, generator.evaluations({})) == (SIZE, ddgan.STEPS)
    for name, value in game.average.state_dict().items():
        assert torch.equal(generator.network.state_dict()[name], value.half().float())
