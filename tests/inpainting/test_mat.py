"""MAT against spandrel's own."""

import importlib.util
from itertools import chain

import pytest
import torch
from trilemma.models.files import checkpoints
from trilemma.models.inpainting import mat
from trilemma.models.inpainting.base import InpaintRequest
from trilemma.models.inpainting.loading import INPAINTERS
from trilemma.models.weights import undrawn_weights
from trilemma.tests.closeness import assert_close

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("spandrel_extra_arches") is None,
        reason="spandrel_extra_arches is not installed: pip install spandrel-extra-arches",
    ),
]
SEED = 11


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return mat.write_tiny(tmp_path_factory.mktemp("mat"))


@pytest.fixture(scope="module")
def model(path):
    return INPAINTERS.load(path)


def request(side, count=1, seed=SEED):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, side, side - 20, 3, generator=generator)
    masks = torch.zeros(count, side, side - 20)
    masks[:, side // 4 : -side // 4, side // 3 :] = 1
    return InpaintRequest(images, masks, "", seed=seed)


def generator_class():
    from spandrel_extra_arches.architectures.MAT import MAT

    return type(MAT().model)


def test_the_shapes_are_those_of_spandrels_network():
    made = generator_class()
    for sizes in (mat.PUBLISHED, mat.TINY, mat.Sizes(256, 512, 512)):
        with undrawn_weights():
            state = made(sizes.latent, 0, sizes.style, sizes.resolution, 3).state_dict()
        assert {name: tuple(value.shape) for name, value in state.items()} == mat.shapes(sizes)


def test_it_paints_what_spandrel_paints(path, model, monkeypatch):
    """Given the same latents and the same dropout, which spandrel draws from global states. Its network of 512 pixels
    takes half a minute; the same class makes one of 128."""
    from spandrel import MaskedImageModelDescriptor, SizeRequirements
    from spandrel_extra_arches.architectures.MAT import MAT, MATArch

    network = MAT()
    network.model = type(network.model)(mat.TINY.latent, 0, mat.TINY.style, mat.TINY.resolution, 3)
    state = {f"model.{name}": value.float() for name, value in checkpoints.read(path).tensors.items()}
    side = mat.TINY.resolution
    needs = SizeRequirements(minimum=side, multiple_of=side, square=True)
    theirs = MaskedImageModelDescriptor(network, state, MATArch(), "Inpainting", [], False, True, 3, 3, needs).eval()
    asked = request(100)
    drawn = torch.Generator().manual_seed(SEED)
    network.z = torch.randn(mat.TINY.latent, generator=drawn)[None]

    def dropout(values, training):
        kept = torch.rand(values.shape[1:], generator=drawn) >= 0.5
        return values * kept * 2

    with torch.no_grad(), monkeypatch.context() as patched:
        patched.setattr(torch.nn.functional, "dropout", dropout)
        expected = theirs(asked.images.movedim(-1, 1), asked.masks[:, None]).movedim(1, -1)
    found = model.inpaint(asked)

    hole = asked.masks > 0
    assert expected[hole].std() > 0.01
    assert_close(found[hole], expected[hole])
    assert torch.equal(found[~hole], asked.images[~hole])


def test_each_seed_draws_another_picture_and_no_global_state_is_asked(model):
    """spandrel's network drops out in use too, by PyTorch's own random numbers; here image i has seed + i alone."""
    asked = request(60, count=2)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    found = model.inpaint(asked, batch_size=2)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = model.inpaint(asked._replace(images=asked.images[1:], masks=asked.masks[1:], seed=SEED + 1))
    assert_close(second[0], found[1])
    other = model.inpaint(asked._replace(images=asked.images[:1], masks=asked.masks[:1], seed=SEED + 5))
    hole = asked.masks[:1] > 0
    assert (other - found[:1])[hole].abs().max() > 0.01
    assert torch.equal(other[~hole], found[:1][~hole])


def test_its_layouts_are_read(path, model, tmp_path):
    """As Load Upscale Model's library names it, and as the authors' training does."""
    tensors = checkpoints.read(path).tensors
    for number, (prefix, wrapper) in enumerate((("model.", ""), ("", "G_ema"))):
        named = {f"{prefix}{name}": value for name, value in tensors.items()}
        torch.save({wrapper: named} if wrapper else named, tmp_path / f"{number}.pth")
        loaded = INPAINTERS.load(tmp_path / f"{number}.pth")
        assert loaded.architecture == "MAT"
        assert all(map(torch.equal, chain(loaded.network.parameters()), chain(model.network.parameters())))
        (tmp_path / f"{number}.pth").unlink()


def test_pictures_are_squares_of_its_size(model):
    assert model.native_resolution == 128
    assert [model.padded_size(*size) for size in ((1, 1), (128, 100), (129, 20))] == [
        (128, 128),
        (128, 128),
        (256, 256),
    ]
    assert mat.MAT(torch.nn.Identity(), mat.PUBLISHED).padded_size(600, 400) == (1024, 1024)
