import json

import pytest
import torch
import torch.nn.functional as F
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import binding, loading
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.gan import mlp_gan
from trilemma.models.generators.gan.mlp_gan import MLP
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.families import checks, kinds
from trilemma.tests.generators.gan import gans
from trilemma.tests.generators.vae import autoencoders
from trilemma.tests.peak_memory import peak_bytes

TOLD = {"trilemma": json.dumps(mlp_gan.USUAL)}


def test_what_shapes_do_not_tell_is_asked(tmp_path):
    """A widening row of dense layers may be anything, with anything between the layers."""
    tensors = autoencoders.random_weights(MLP([5, 9, 16]))
    with pytest.raises(BadCheckpoint, match=r"5 - 9 - 16, .*config\.json .*\(hidden_activation: relu or .*sigmoid\)"):
        gans.load(tensors, tmp_path)
    (tmp_path / "config.json").write_text('{"hidden_activation": "leaky_relu", "output_activation": "sigmoid"}')
    for place in (tmp_path / "model.safetensors", tmp_path):
        generator = loading.load_generator(place)
        z = torch.randn(3, 5)
        hidden = F.leaky_relu(z @ tensors["0.weight"].T + tensors["0.bias"], 0.2)
        expected = 2 * torch.sigmoid(hidden @ tensors["2.weight"].T + tensors["2.bias"]) - 1
        assert_close(generator.network(z).flatten(1), expected)
        assert tmp_path / "config.json" in generator.files
    (tmp_path / "config.json").write_text('{"hidden_activation": "gelu", "output_activation": ["tanh"]}')
    with pytest.raises(BadCheckpoint, match="do not tell"):
        loading.load_generator(tmp_path)


@pytest.mark.parametrize(("widths", "picture"), [([5, 9, 7, 16], (1, 4, 4)), ([6, 12, 48], (3, 4, 4))])
def test_sizes_come_from_the_shapes(widths, picture, tmp_path):
    generator = gans.load(autoencoders.random_weights(MLP(widths)), tmp_path, TOLD)
    described = generator.descriptor
    assert (described.channels, described.height, described.width) == picture
    assert described.latent_shape == (widths[0],)
    assert mlp_gan.sizes(generator.network.state_dict()) == widths
    gans.check_batches(generator)
    checks.memory_is_foreseen(kinds.GENERATOR, generator)
    gans.check_identity(generator)


def test_answers_of_the_reference(tmp_path):
    case = reference_kit.case("mnist_small", "golden_gan_mlp_G")
    torch.save(reference_kit.weights(case), tmp_path / "G.ckpt")
    compare(loading.load_generator(tmp_path / "G.ckpt"), case)


@pytest.mark.weights
def test_answers_of_the_published_weights():
    case = reference_kit.case("mnist_small", "golden_gan_mlp_G")
    golden = "mnist_small/golden_real_gan_mlp_G_dev.npz"
    generator = loading.load_generator(autoencoders.real_weights("mnist/G--300.ckpt"))
    compare(generator, {**case, "golden_dev": golden})
    assert generator.descriptor.latent_shape == (64,)


def compare(generator, case):
    z = torch.from_numpy(reference_kit.inputs(case)["z"])
    with torch.no_grad():
        images = generator.network(z)
    assert images.shape == (8, 1, 28, 28)
    reference_kit.compare(case, {"img": images.flatten(1)})


@pytest.mark.slow
def test_memory_of_a_long_run_is_that_of_a_batch(tmp_path):
    generator = gans.load(autoencoders.random_weights(MLP([5, 9, 16])), tmp_path, TOLD)

    def run(count: int) -> None:
        for batch in binding.sample(Bound(generator), count, 0, 50):
            assert len(batch.images) == 50

    assert peak_bytes(lambda: run(10_000)) <= 1.1 * peak_bytes(lambda: run(100))


@pytest.mark.parametrize(
    "widths",
    [[784, 64, 16], [8, 16, 15], [4, 16]],
    ids=["a classifier", "not square", "one layer"],
)
def test_other_dense_layers_are_not_claimed(widths):
    shapes = zip(widths[1:], widths[:-1], strict=True)
    tensors = {f"{2 * index}.weight": torch.empty(*shape) for index, shape in enumerate(shapes)}
    tensors |= {name.replace("weight", "bias"): torch.empty(len(value)) for name, value in tensors.items()}
    assert not mlp_gan.detect(Checkpoint(tensors, {}))
