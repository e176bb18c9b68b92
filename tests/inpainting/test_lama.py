"""LaMa against spandrel's own, from every form in which its file is found."""

import importlib.util

import pytest
import torch
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files import checkpoints
from trilemma.models.inpainting import lama
from trilemma.models.inpainting.base import InpaintRequest
from trilemma.models.inpainting.loading import INPAINTERS
from trilemma.models.random_weights import random_tensors
from trilemma.models.weights import empty_weights
from trilemma.tests.closeness import assert_close

needs_spandrel = pytest.mark.skipif(
    importlib.util.find_spec("spandrel") is None, reason="spandrel is not installed: pip install spandrel"
)


def weights(sizes=lama.TINY):
    made = random_tensors(lama.shapes(sizes))
    return made | {name: torch.tensor(1) for name in made if name.endswith(lama.COUNTER)}


def request(height, width, count=1, seed=0, prompt=""):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, height, width, 3, generator=generator)
    masks = torch.zeros(count, height, width)
    masks[:, height // 4 : -height // 4, width // 3 : -width // 4] = 1
    # At the edge too, where the mirror image of the hole is a hole.
    masks[:, -height // 5 :, -width // 5 :] = 1
    return InpaintRequest(images, masks, prompt)


@needs_spandrel
@pytest.mark.slow
def test_the_shapes_are_those_of_spandrels_network():
    from spandrel.architectures.LaMa import LaMa

    with empty_weights():
        state = LaMa(in_nc=4, out_nc=3).state_dict()
    assert {name.removeprefix("model."): tuple(value.shape) for name, value in state.items()} == lama.shapes(lama.BIG)


def test_sizes_are_read_from_shapes():
    for sizes in (lama.TINY, lama.BIG, lama.Sizes(64, 3, 9), lama.Sizes(16, 2, 3, inputs=5, outputs=4)):
        shapes = lama.shapes(sizes)
        assert lama.sizes_of({name: torch.empty(shape, device="meta") for name, shape in shapes.items()}) == sizes


@needs_spandrel
@pytest.mark.slow
def test_it_paints_what_spandrel_paints():
    """Of the published sizes, with weights drawn at random; neither side is a multiple of 8."""
    from spandrel.architectures.LaMa import LaMaArch

    tensors = weights(lama.BIG)
    theirs = LaMaArch().load({f"model.{name}": value for name, value in tensors.items()}).eval()
    ours = lama.load(checkpoints.Checkpoint(tensors, {}), lambda parameters: torch.float16)
    asked = request(45, 62)

    with torch.no_grad():
        expected = theirs(asked.images.movedim(-1, 1), asked.masks[:, None]).movedim(1, -1)
    found = ours.inpaint(asked)

    hole = asked.masks > 0
    assert expected[hole].std() > 0.01
    assert_close(found[hole], expected[hole])
    assert torch.equal(found[~hole], asked.images[~hole])


@needs_spandrel
@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "model.", "generator.", "model.generator.", "module.generator."])
@pytest.mark.parametrize("wrapper", ["", "state_dict"])
def test_every_layout_of_its_file_is_read(prefix, wrapper, tmp_path):
    """Alone, or as the training wrote it beside the discriminator and what compares pictures."""
    tensors = weights()
    named = {f"{prefix}{name}": value for name, value in tensors.items()}
    if prefix == "generator.":
        named |= {"discriminator.model0.0.weight": torch.ones(2, 2), "loss_resnet_pl.impl.conv1.weight": torch.ones(2)}
    torch.save({wrapper: named, "epoch": 3} if wrapper else named, tmp_path / "x.ckpt")
    whole = lama.load(checkpoints.Checkpoint(tensors, {}), lambda parameters: torch.float32)
    loaded = INPAINTERS.load(tmp_path / "x.ckpt")
    assert (loaded.architecture, loaded.identity) == ("LaMa", whole.identity)


@needs_spandrel
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_the_published_program_is_read_as_data(tmp_path):
    """big-lama.pt is a TorchScript program: the same weights, and a note that its code was not run."""
    path = lama.write_tiny(tmp_path)
    loaded = INPAINTERS.load(path)

    class Wrapped(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, image, mask):
            return mask * self.model(image * (1 - mask), mask) + (1 - mask) * image

    picture, hole = torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    torch.jit.trace(Wrapped(loaded.network), (picture, hole)).save(tmp_path / "big-lama.pt")
    program = INPAINTERS.load(tmp_path / "big-lama.pt")

    assert program.identity == loaded.identity
    assert any("took the weights of a TorchScript program as data; its code was not run" in x for x in program.notes)
    with pytest.raises(BadCheckpoint, match="TorchScript program, which is code"):
        checkpoints.read(tmp_path / "big-lama.pt")


@needs_spandrel
@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (7, 40), (16, 24), (33, 17)])
def test_every_size_is_filled_and_all_else_kept(size, tmp_path):
    model = INPAINTERS.load(lama.write_tiny(tmp_path))
    images = torch.rand(2, *size, 4, generator=torch.Generator().manual_seed(3))
    masks = (torch.rand(2, *size, generator=torch.Generator().manual_seed(4)) > 0.5).float()
    masks[:, 0, 0] = 1
    found = model.inpaint(InpaintRequest(images, masks, ""), batch_size=2)
    assert found.shape == images.shape
    assert torch.equal(found[masks == 0], images[masks == 0])
    assert torch.equal(found[..., 3], images[..., 3])
    assert found.min() >= 0 and found.max() <= 1
    assert (found[..., :3][masks == 1] != images[..., :3][masks == 1]).any()


@needs_spandrel
@pytest.mark.slow
def test_neither_the_hole_nor_words_nor_seeds_count(tmp_path):
    """What lies in the hole is not seen, nor its mirror image in the padding; and nothing is drawn at random."""
    model = INPAINTERS.load(lama.write_tiny(tmp_path))
    asked = request(30, 45)
    found = model.inpaint(asked)
    hole = asked.masks[..., None] > 0
    other = asked._replace(images=torch.where(hole, 1 - asked.images, asked.images))
    for again in (other, asked._replace(prompt="a cat", seed=7, steps=3, guidance_scale=1.0, strength=0.5)):
        assert_close(model.inpaint(again), found)
    assert model.remark("a cat") == (
        "LaMa fills holes from what surrounds them, without words: the prompt is not used."
    )
    assert not model.remark(" ")
