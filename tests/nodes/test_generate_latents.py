"""The nodes that work in latent space, on the smallest generator."""

import math

import pytest
import torch
from trilemma import host
from trilemma.host import standalone
from trilemma.models.errors import BadInput
from trilemma.models.generators.binding import Bound
from trilemma.models.pictures import resizing
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.generators.toy import HEIGHT, LATENT, WIDTH, Toy

Conditioned, Sample, Interpolate, Mix, Encode, Decode, Reconstruct = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in (
        "Condition",
        "SampleImages",
        "Interpolate",
        "StyleMix",
        "EncodeLatent",
        "DecodeLatent",
        "Reconstruct",
    )
)


def handle(**changes) -> host.Handle:
    toy = Toy(**changes)
    return host.hold(Bound(toy), toy.modules)


@pytest.fixture
def plain():
    """Without classes, so that a latent alone decides on the picture."""
    return handle(num_classes=1, class_names=("light",))


def samples(generator, *seeds):
    return torch.cat([Sample().run(generator, 1, seed)["result"][0] for seed in seeds])


def close(first, second):
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_a_walk_passes_through_every_seed(plain):
    frames = Interpolate().run(plain, 4, "3, 1\n2")["result"][0]
    assert frames.shape == (9, HEIGHT, WIDTH, 3)
    close(frames[[0, 4, 8]], samples(plain, 3, 1, 2))
    steps = (frames[1:] - frames[:-1]).flatten(1).norm(dim=1)
    ways = (frames[[4, 8]] - frames[[0, 4]]).flatten(1).norm(dim=1)
    assert steps.min() > 0
    assert steps.max() < ways.max()


@torch.inference_mode()
def test_a_loop_ends_one_frame_before_its_beginning(plain):
    frames = Interpolate().run(plain, 3, "3, 1, 2", loop=True)["result"][0]
    assert len(frames) == 9
    close(frames[[0, 3, 6]], samples(plain, 3, 1, 2))
    close(frames[:7], Interpolate().run(plain, 3, "3, 1, 2")["result"][0])
    back = Interpolate().run(plain, 3, "2, 3")["result"][0]
    close(frames[6:], back[:3])


@torch.inference_mode()
def test_one_step_each_draws_a_list_of_seeds(plain):
    close(Interpolate().run(plain, 1, "9 4, 4;1")["result"][0], samples(plain, 9, 4, 4, 1))


@torch.inference_mode()
def test_a_position_is_each_seed_at_its_corner_and_the_way_on_the_sides(plain):
    def at(position):
        return Interpolate().run(plain, 9, "3, 1, 2", position=position)["result"][0]

    close(torch.cat([at("1, 0, 0"), at("0 5 0"), at("0; 0; .25")]), samples(plain, 3, 1, 2))
    way = Interpolate().run(plain, 4, "3, 1")["result"][0]
    close(torch.cat([at("3, 1"), at("1, 3, 0")]), way[[1, 3]])
    middle = at("1, 1, 1")
    assert len(middle) == 1
    assert (middle - samples(plain, 3, 1, 2)).flatten(1).norm(dim=1).min() > 0
    with pytest.raises(BadInput, match="position: it has 4 shares, but there are 3 seeds"):
        at("1, 1, 1, 1")


@torch.inference_mode()
def test_the_page_is_told_the_anchors(plain):
    shown = Interpolate().run(plain, 2, "3, 1, 2, 4", position="1, 1")["ui"]
    assert shown["trilemma_explorer"] == [{"anchors": 3, "position": "1, 1"}]


@torch.inference_mode()
def test_frames_stay_on_the_sphere(plain):
    toy = plain.model.generator
    seen = []
    decode = toy.decode

    def spy(latents, requests, *settings):
        seen.append((latents.values, requests))
        return decode(latents, requests, *settings)

    toy.decode = spy
    Interpolate().run(plain, 4, "1, 2")
    values = torch.cat([values for values, _ in seen])
    lengths = values.norm(dim=1)
    assert lengths.min() >= min(lengths[0], lengths[-1]) - 1e-4
    assert {request.seed for _, requests in seen for request in requests} == {1}


@torch.inference_mode()
def test_a_walk_between_images(plain):
    images = samples(plain, 1, 2)
    frames = Interpolate().run(plain, 3, images=images)["result"][0]
    assert len(frames) == 4
    close(frames[[0, 3]], images)
    close(frames, Interpolate().run(plain, 3, "1, 2")["result"][0])


@torch.inference_mode()
def test_a_walk_between_latents(plain):
    latent = Encode().run(plain, samples(plain, 1, 2))[0]
    frames = Interpolate().run(plain, 3, latent=latent)["result"][0]
    close(frames, Interpolate().run(plain, 3, "1, 2")["result"][0])
    with pytest.raises(BadInput, match="images, latent: both are connected"):
        Interpolate().run(plain, 3, images=samples(plain, 1, 2), latent=latent)
    with pytest.raises(BadInput, match="latent: it belongs to another model than this Toy"):
        Interpolate().run(plain, 3, latent=latent._replace(identity="another"))


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ("", "seeds: it is empty"),
        ("1", "there is 1 to start from"),
        ("1, x", "seeds: 'x' is no whole number"),
        ("1, -2", "seeds: '-2' is no whole number"),
        (f"1, {2**64}", f"seeds: '{2**64}' is no whole number"),
        ("1, " + "9" * 5000, "seeds: '9{80}' is no whole number"),
    ],
)
def test_seeds_that_are_none(plain, seeds, message):
    with pytest.raises(BadInput, match=message):
        Interpolate().run(plain, 2, seeds)


@torch.inference_mode()
def test_styles_are_mixed_row_by_row(plain):
    images = Mix().run(plain, "1, 2", "3, 4, 5", 2)["result"][0]
    assert images.shape == (6, HEIGHT, WIDTH, 3)
    toy = plain.model.generator
    sources = {seed: Encode().run(plain, samples(plain, seed))[0].values[0] for seed in range(1, 6)}
    pairs = [(row, column) for row in (1, 2) for column in (3, 4, 5)]
    mixed = torch.stack([torch.cat([sources[row][:2], sources[column][2:]]) for row, column in pairs])
    light = torch.sigmoid(toy.modules[0](mixed)).reshape(-1, HEIGHT, WIDTH, 3)
    torch.testing.assert_close(images, light, rtol=0, atol=1e-3)
    with pytest.raises(BadInput, match="fine_seeds: 'a' is no whole number"):
        Mix().run(plain, "1", "a")


@torch.inference_mode()
def test_latents_there_and_back(plain):
    images = samples(plain, *range(6))
    latent = Encode().run(plain, images)[0]
    assert latent.values.shape == (6, LATENT)
    close(Decode().run(plain, latent)["result"][0], images)


@torch.inference_mode()
def test_classes_of_decoded_latents_are_the_conditions():
    generator = Conditioned().run(handle(), "light\ndark")[0]
    latent = Encode().run(generator, samples(Conditioned().run(generator, "light")[0], 1, 1, 1))[0]
    light, dark, again = Decode().run(generator, latent, 5)["result"][0]
    close(dark, light / 2)
    close(again, light)


def test_latents_of_another_model(plain):
    latent = Encode().run(plain, samples(plain, 1))[0]
    other = handle()
    other.model.generator.identity = "another"
    with pytest.raises(BadInput, match="latent: it belongs to another model than this Toy"):
        Decode().run(other, latent)


@torch.inference_mode()
@pytest.mark.parametrize("room", [1, 3, 100])
def test_reconstruction_in_whatever_batches_fit(room):
    generator = handle(num_classes=1, class_names=("light",), room=room)
    images = samples(handle(num_classes=1, class_names=("light",)), *range(5))
    shown = Reconstruct().run(generator, images)
    again, original, report = shown["result"]
    close(again, images)
    close(original, images)
    assert report.count("PSNR") == 6
    assert "mean of 5: PSNR" in report
    assert shown["ui"]["text"] == [report]


@torch.inference_mode()
def test_psnr_is_that_of_the_squared_error(plain):
    """Pictures that the model cannot show: noise."""
    images = torch.rand(1, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(3))
    again, _, report = Reconstruct().run(plain, images)["result"]
    error = float((again.double() - images.double()).square().mean())
    assert report == f"image 0: PSNR {10 * math.log10(1 / error):.2f} dB"


@torch.inference_mode()
def test_a_model_of_grey_pictures_is_compared_with_grey_ones():
    generator = handle(num_classes=1, class_names=("light",), channels=1)
    images = torch.rand(2, HEIGHT, WIDTH, 4)
    _, original, _ = Reconstruct().run(generator, images)["result"]
    luma = 0.299 * images[..., 0] + 0.587 * images[..., 1] + 0.114 * images[..., 2]
    close(original, luma[..., None].expand(-1, -1, -1, 3))


@torch.inference_mode()
@pytest.mark.parametrize("resize", ["crop", "resize", "pad"])
def test_images_of_another_size(plain, resize):
    images = torch.ones(2, 31, 17, 3)
    again, original, _ = Reconstruct().run(plain, images, resize)["result"]
    assert again.shape == original.shape == (2, HEIGHT, WIDTH, 3)
    assert bool((original == 1).all()) == (resize != "pad")


def test_images_of_another_size_refused(plain):
    with pytest.raises(BadInput, match=r"image: 17 x 31 pixels, but Toy takes 4 x 3 pixels; choose a way to resize"):
        Encode().run(plain, torch.ones(1, 31, 17, 3), "none")
    with pytest.raises(BadInput, match="empty"):
        Encode().run(plain, torch.ones(0, 3, 4, 3))
    with pytest.raises(BadInput, match="NaN"):
        Reconstruct().run(plain, torch.full((1, 3, 4, 3), torch.nan))


@pytest.mark.parametrize(("size", "taken"), [((16, 24), (16, 24)), ((17, 30), (16, 32)), ((3, 5), (8, 8))])
def test_a_model_of_any_size_takes_the_nearest_that_its_step_divides(size, taken):
    from trilemma.models.generators.latents import fitted

    images = torch.rand(1, *size, 3)
    result = fitted(images, handle(size_multiple=8).model.generator.descriptor, "crop")
    assert result.shape == (1, *taken, 3)
    assert torch.equal(result, images) == (size == taken)


def test_an_interrupt_stops_between_images_that_are_brought_to_size(plain, monkeypatch):
    from trilemma.models.generators import latents

    brought = []

    def fit(image, *arguments):
        brought.append(len(brought))
        standalone.interrupt()
        return resizing.fit(image, *arguments)

    monkeypatch.setattr(latents, "fit", fit)
    with pytest.raises(standalone.Interrupted):
        Encode().run(plain, torch.rand(50, HEIGHT + 1, WIDTH, 3))
    assert brought == [0]


def test_an_interrupt_stops_between_batches_and_within_one_step(plain):
    images = samples(plain, 1, 2)
    standalone.interrupt()
    with pytest.raises(standalone.Interrupted):
        Encode().run(plain, images)
    latent = Encode().run(plain, images)[0]
    standalone.interrupt()
    plain.model.generator.modules[0].register_forward_pre_hook(lambda *_: pytest.fail("a step too many"))
    with pytest.raises(standalone.Interrupted):
        Decode().run(plain, latent)
