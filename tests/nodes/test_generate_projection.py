"""Project Image: a starter's picture there and back, losses by what is on disk, interrupts, refusals."""

import pytest
import torch
from trilemma import host
from trilemma.host import standalone
from trilemma.models.errors import BadInput, CannotDo, MissingFile
from trilemma.models.generators.binding import Bound
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.nodes.common import perceptual
from trilemma.tests.generators.directions.small import tiny

pytestmark = pytest.mark.slow

Load, Sample, Project, Decode, Options, Find, Edit = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in (
        "LoadGenerator",
        "SampleImages",
        "ProjectImage",
        "DecodeLatent",
        "GANOptions",
        "LatentDirections",
        "EditLatent",
    )
)


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setattr(standalone, "_places", {**standalone._places, "models": tmp_path / "models"})
    return tmp_path / "models"


@pytest.fixture
def styled(tmp_path):
    with torch.inference_mode(False):
        generator = tiny("stylegan2", tmp_path)
    return Options().run(host.hold(Bound(generator), generator.modules), noise_mode="const")[0]


@torch.inference_mode()
def test_the_starters_picture_is_found_and_edited(models):
    """In a graph's inference mode, as ComfyUI runs it."""
    generator = Options().run(Load().run("starter emoji stylegan2")["result"][0], noise_mode="const")[0]
    given = Sample().run(generator, 1, 5)["result"][0]
    shown = Project().run(generator, given, 120, 0)
    latent, image, original, report = shown["result"]
    assert shown["ui"] == {"text": [report]}
    assert report.startswith("image 0: pyramid 0.")
    assert torch.equal(original, given)
    assert float(report.split("PSNR ")[1].split()[0]) > 25
    torch.testing.assert_close(Decode().run(generator, latent)["result"][0], image, rtol=0, atol=1e-5)
    directions, _ = Find().run(generator, "sefa", 1)["result"]
    moved, _ = Edit().run(generator, latent, directions, "1", "0, 3")["result"]
    pictures = Decode().run(generator, moved)["result"][0]
    torch.testing.assert_close(pictures[:1], image, rtol=0, atol=1e-5)
    assert (pictures[1] - image[0]).abs().max() > 0.1


@torch.inference_mode()
def test_truncation_does_not_pull_what_was_found(models, styled):
    """The latent is settled: it is decoded as it was optimised, whatever psi."""
    latent = Project().run(styled, torch.rand(1, 20, 16, 3), 3, 0)["result"][0]
    assert latent.space == "w+"
    half = Options().run(styled, truncation_psi=0.5)[0]
    assert torch.equal(Decode().run(half, latent)["result"][0], Decode().run(styled, latent)["result"][0])


@torch.inference_mode()
def test_several_in_whatever_batches_fit(models, styled, monkeypatch):
    images = torch.rand(3, 16, 16, 3)
    expected = Project().run(styled, images, 4, 2, space="w+")["result"]
    assert len(expected[3].splitlines()) == 3
    render = type(styled.model.generator).render

    def small(self, latents, *others):
        if len(latents.values) > 1:
            raise torch.cuda.OutOfMemoryError("no room")
        return render(self, latents, *others)

    monkeypatch.setattr(type(styled.model.generator), "render", small)
    found = Project().run(styled, images, 4, 2, space="w+")["result"]
    torch.testing.assert_close(found[0].values, expected[0].values, rtol=0, atol=1e-4)
    assert not torch.equal(found[0].values[:, 0], found[0].values[:, 1])


@torch.inference_mode()
def test_an_interrupt_stops_within_one_step(models, styled, monkeypatch):
    calls = []
    render = type(styled.model.generator).render

    def counting(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            standalone.interrupt()
        return render(self, *arguments)

    monkeypatch.setattr(type(styled.model.generator), "render", counting)
    with pytest.raises(standalone.Interrupted):
        Project().run(styled, torch.rand(1, 16, 16, 3), 50, 0)
    assert len(calls) == 3


class Network:
    """What LPIPS gives a node: distances of pairs, and modules to place."""

    modules = ()
    identity = "x"
    side = 16

    def distances(self, references, images):
        self.seen = references.shape
        return (references - images).square().mean(dim=(1, 2, 3))

    def memory_bytes(self, height, width):
        return height * width


def test_which_loss_is_taken(models, styled, monkeypatch):
    images = torch.rand(1, 16, 16, 3)

    def loss(**settings):
        return Project().run(styled, images, 2, 0, **settings)["result"][3].split()[2:4]

    assert loss()[0] == "pyramid"
    with pytest.raises(MissingFile, match=r"lpips: vgg needs vgg16-397923af\.pth.*; or choose pyramid\."):
        loss(loss="lpips vgg")
    (models / "metrics").mkdir(parents=True)
    (models / "metrics" / "vgg16-397923af.pth").touch()
    (models / "metrics" / "alexnet-owt-7be5be79.pth").touch()
    network = Network()
    monkeypatch.setattr(perceptual.lpips, "load_lpips", lambda net, path: network)
    assert loss() == ["lpips", "vgg"]
    assert network.seen == (1, 3, 16, 16)
    assert loss(loss="pyramid")[0] == "pyramid"
    with pytest.raises(
        BadInput, match="loss: lpips alex takes pictures of 31 pixels and more, these have 16; choose pyra"
    ):
        loss(loss="lpips alex")


@torch.inference_mode()
def test_plain_gans_are_projected_into_z(models, tmp_path):
    with torch.inference_mode(False):
        generator = tiny("dcgan", tmp_path)
    held = host.hold(Bound(generator), generator.modules)
    latent, image, _, _ = Project().run(held, torch.rand(2, 16, 16, 3), 3, 0, space="w+")["result"]
    assert (latent.space, latent.values.shape) == ("z", (2, *generator.descriptor.latent_shape))
    assert image.shape[0] == 2


@pytest.mark.parametrize("name", ["starter emoji vae", "starter emoji ddpm", "starter emoji vqvae transformer"])
def test_models_that_are_no_gans_say_what_they_can(name):
    generator = Load().run(name)["result"][0]
    with pytest.raises(CannotDo, match="cannot project; it can: sample"):
        Project().run(generator, torch.rand(1, 32, 32, 3), 3, 0)
