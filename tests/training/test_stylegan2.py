import pytest
import torch
from trilemma.models.generators.loading import load_generator
from trilemma.tests.closeness import are_distinct, assert_close, is_close
from trilemma.training import adversarial, stylegan2
from trilemma.training.adversarial import GROUP, Discriminator, Rules
from trilemma.training.pictures import NAMES, SIZE, Pictures

pytestmark = pytest.mark.slow

RULES = Rules(steps=3, batch=GROUP, cooldown=2, every=2)


def pictures() -> Pictures:
    images = torch.randint(0, 256, (8, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Pictures(images, torch.arange(8))


def test_an_interrupted_training_goes_on_as_if_it_were_not(tmp_path):
    whole, interrupted, resumed = (stylegan2.build_game() for _ in range(3))
    stylegan2.fit(whole, pictures(), tmp_path / "whole", RULES)
    # In both runs the rates are still whole at the first two steps.
    stylegan2.fit(interrupted, pictures(), tmp_path / "parts", RULES._replace(steps=2, cooldown=1))
    stylegan2.fit(resumed, pictures(), tmp_path / "parts", RULES)
    before = stylegan2.build_game().state_dict()
    changed = 0
    for name, value in whole.state_dict().items():
        assert_close(resumed.state_dict()[name], value)
        changed += not is_close(before[name], value)
    assert changed > len(before) / 2


def test_the_average_is_exported_with_its_mean_latent(tmp_path):
    game = stylegan2.build_game()
    stylegan2.export(game, tmp_path / "starter")
    generator = load_generator(tmp_path / "starter")
    assert generator.descriptor.class_names == NAMES
    labels = torch.arange(len(NAMES)).repeat(64)
    z = torch.randn(len(labels), stylegan2.SIZES.z_dim, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        mean = generator.network.mapping(z, labels).mean(dim=0)
    torch.testing.assert_close(generator.network.mapping.w_avg, mean, atol=0.1, rtol=0)
    assert mean.abs().max() > 0.1


def test_augmented_pictures_are_differentiable_and_differ():
    images = torch.rand(4, 3, SIZE, SIZE, requires_grad=True)
    augmented = adversarial.augment(images, torch.Generator().manual_seed(0))
    assert augmented.shape == images.shape
    augmented.sum().backward()
    assert (images.grad != 0).flatten(1).any(dim=1).all()
    again = adversarial.augment(images[:1].expand(4, -1, -1, -1), torch.Generator().manual_seed(0))
    assert are_distinct(again)


def test_the_discriminator_sees_when_all_pictures_are_alike():
    one = torch.randn(1, 2, 4, 4)
    alike = adversarial.spread(one.expand(GROUP, -1, -1, -1))
    assert alike.shape == (GROUP, 1, 4, 4)
    assert alike.max() < 1e-3
    assert adversarial.spread(torch.randn(GROUP, 2, 4, 4)).min() > 0.1


def test_r1_is_the_squared_gradient():
    weight = torch.arange(1.0, 4.0)
    real = torch.randn(5, 3, requires_grad=True)
    torch.testing.assert_close(adversarial.r1(real @ weight, real), weight.square().sum())


def test_classes_change_the_score():
    torch.manual_seed(0)
    discriminator = Discriminator(3)
    images = torch.randn(GROUP, 3, SIZE, SIZE)
    with torch.no_grad():
        first, second = (discriminator(images, torch.full((GROUP,), label)) for label in (0, 1))
    assert (first - second).abs().min() > 1e-6
