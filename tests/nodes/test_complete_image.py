"""Complete Image on a starter."""

import pytest
import torch
from trilemma.models.errors import CannotDo
from trilemma.nodes import NODE_CLASS_MAPPINGS

pytestmark = pytest.mark.slow

Load, Sample, Complete = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"] for name in ("LoadGenerator", "SampleImages", "CompleteImage")
)


@torch.inference_mode()
def test_halves_of_an_emoji_are_completed():
    generator = Load().run("starter emoji vqvae transformer")["result"][0]
    (pictures, _) = Sample().run(generator, 2, 5)["result"]
    images, original = Complete().run(generator, pictures, num_images=3, seed=1)["result"]
    assert images.shape == (6, 32, 32, 3)
    assert torch.equal(original, pictures)
    kept = pictures.repeat_interleave(3, dim=0)
    assert torch.equal(images[:, :16], kept[:, :16])
    assert all(not torch.equal(one[16:], other[16:]) for one, other in zip(images[0::3], images[1::3], strict=True))
    again, _ = Complete().run(generator, pictures, num_images=3, seed=1, batch_size=1)["result"]
    assert (again - images).abs().max() < 1e-4


def test_models_that_draw_at_once_cannot():
    generator = Load().run("starter emoji vae")["result"][0]
    with pytest.raises(CannotDo, match="cannot complete"):
        Complete().run(generator, torch.rand(1, 32, 32, 3))
