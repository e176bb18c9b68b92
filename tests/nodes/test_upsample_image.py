"""Upsample Image on a small model that enlarges."""

import json

import pytest
import torch
from trilemma import host
from trilemma.models.errors import CannotDo
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.diffusion.adm.network import Sizes, UNet
from trilemma.models.generators.loading import load_generator
from trilemma.models.random_weights import random_weights
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

UpsampleImage = NODE_CLASS_MAPPINGS["TrilemmaUpsampleImage"]
DiffusionOptions = NODE_CLASS_MAPPINGS["TrilemmaDiffusionOptions"]


def loaded(tmp_path, **flags) -> host.Handle:
    """A model of 16 pixels; with `small_size` it enlarges."""
    inputs = 6 if flags else 3
    sizes = Sizes(32, (32, 64), 1, (False, True), inputs, classes=3, head_channels=32)
    torch.save(random_weights(UNet(sizes)), tmp_path / "model.pt")
    told = {"image_size": 16, "large_size": 16, "num_channels": 32, "num_head_channels": 32, "predict_xstart": True}
    (tmp_path / "config.json").write_text(json.dumps({**told, "use_new_attention_order": True, **flags}))
    model = load_generator(tmp_path / "model.pt")
    return host.hold(Bound(model), model.modules)


def test_images_are_brought_to_its_size_and_enlarged(tmp_path):
    (generator,) = DiffusionOptions().run(loaded(tmp_path, small_size=4), respacing="ddim2")
    images = torch.rand(3, 8, 6, 3, generator=torch.Generator().manual_seed(0))
    drawn, original = UpsampleImage().run(generator, images, seed=3)["result"]
    assert drawn.shape == (3, 16, 16, 3) and original.shape == (3, 4, 4, 3)
    again, _ = UpsampleImage().run(generator, original[1:], seed=4, batch_size=1)["result"]
    assert_close(again, drawn[1:])


def test_others_do_not_enlarge(tmp_path):
    with pytest.raises(CannotDo, match="guided diffusion cannot upsample; it can: sample"):
        UpsampleImage().run(loaded(tmp_path), torch.rand(1, 4, 4, 3))
