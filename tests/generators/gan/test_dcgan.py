import pytest
import torch
from torch import nn
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import binding, noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.gan import dcgan
from trilemma.models.generators.gan.dcgan import DCGAN, Convolution
from trilemma.tests.closeness import assert_close
from trilemma.tests.families import checks, kinds
from trilemma.tests.generators.gan import gans
from trilemma.tests.generators.vae import autoencoders


def sequence(*sizes: int, last: int) -> list[Convolution]:
    """4 x 4 kernels between these channels, but for the last kernel."""
    kernels = [4] * (len(sizes) - 2) + [last]
    return [Convolution(*row) for row in zip(sizes[:-1], sizes[1:], kernels, strict=True)]


LAYOUTS = {
    "64 pixels, as in PyTorch's examples": (sequence(10, 16, 8, 8, 4, 3, last=4), 64, 3),
    "28 pixels, as for MNIST": (sequence(9, 16, 8, 8, 4, 1, last=1), 28, 1),
    "32 pixels, as for CIFAR": (sequence(10, 16, 8, 8, 4, 3, last=1), 32, 3),
    "32 pixels, grey": (sequence(5, 8, 8, 4, 1, last=4), 32, 1),
}


@pytest.fixture(params=LAYOUTS)
def layout(request):
    return LAYOUTS[request.param]


def tensors(convolutions: list[Convolution]) -> dict[str, torch.Tensor]:
    return autoencoders.random_weights(DCGAN(convolutions))


@pytest.mark.slow
def test_sizes_come_from_the_shapes(layout, tmp_path):
    convolutions, side, channels = layout
    generator = gans.load(tensors(convolutions), tmp_path)
    described = generator.descriptor
    assert (described.height, described.width, described.channels) == (side, side, channels)
    assert described.latent_shape == (convolutions[0].inputs, 1, 1)
    assert dcgan.convolutions(generator.network.state_dict()) == convolutions
    images = gans.check_batches(generator)
    assert images.std() > 0.01
    checks.memory_is_foreseen(kinds.GENERATOR, generator)
    gans.check_identity(generator)


def test_the_network_is_that_of_pytorchs_examples(tmp_path):
    generator = gans.load(tensors(sequence(10, 16, 8, 8, 4, 3, last=4)), tmp_path)
    layers = []
    for index, (inputs, outputs) in enumerate([(10, 16), (16, 8), (8, 8), (8, 4), (4, 3)]):
        layers.append(nn.ConvTranspose2d(inputs, outputs, 4, 2 if index else 1, 1 if index else 0, bias=False))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
    example = nn.Sequential(*layers[:-2], nn.Tanh()).eval()
    example.load_state_dict(
        {name.removeprefix("main."): value for name, value in generator.network.state_dict().items()}
    )
    z = torch.randn(2, 10, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(generator.network(z), example(z))


def test_walks_are_spherical(tmp_path):
    generator = gans.load(tensors(sequence(50, 8, 8, 1, last=4)), tmp_path)
    keys = generator.latents(noise.requests(2, 0, [Condition()]), Bound(generator).settings)
    start, end = (keys._replace(values=keys.values[[index]]) for index in (0, 1))
    way = generator.interpolate(start, end, [0.0, 0.5, 1.0]).values
    torch.testing.assert_close(way[[0, 2]], keys.values)
    torch.testing.assert_close(way[1].norm(), keys.values.flatten(1).norm(dim=1).mean())
    assert not generator.mean_latent().values.any()


def test_a_discriminator_is_not_claimed():
    discriminator = {
        "main.0.weight": torch.empty(64, 1, 4, 4),
        "main.2.weight": torch.empty(128, 64, 4, 4),
        "main.3.weight": torch.empty(128),
        "main.3.running_mean": torch.empty(128),
    }
    assert not dcgan.detect(Checkpoint(discriminator, {}))


def test_four_channels_are_an_image_with_alpha(tmp_path):
    generator = gans.load(tensors(sequence(5, 8, 8, 4, last=4)), tmp_path)
    (batch,) = binding.sample(Bound(generator), 2, 0, 2)
    z = noise.normal(noise.generators(noise.requests(2, 0, [Condition()])), (5, 1, 1))
    with torch.no_grad():
        expected = (generator.network(z) + 1) / 2
    assert_close(batch.images, expected.movedim(1, -1))
    with pytest.raises(BadCheckpoint, match="its pictures have 6 channels; of DCGAN the pack draws"):
        gans.load(tensors(sequence(5, 8, 8, 6, last=4)), tmp_path)
