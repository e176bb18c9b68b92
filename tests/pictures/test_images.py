import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.pictures import images


def test_alpha_is_dropped_for_networks():
    batch = torch.rand(2, 5, 7, 4)
    assert torch.equal(images.rgb(batch), batch[..., :3])


def test_half_precision_becomes_float32():
    assert images.check_images(torch.rand(1, 2, 2, 3).half()).dtype == torch.float32


@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 5, 7, 2), (0, 5, 7, 3), (1, 0, 7, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(BadInput, match=str(shape[0])):
        images.check_images(torch.zeros(shape))


def test_nan_names_the_image():
    batch = torch.zeros(3, 4, 4, 3)
    batch[1, 2, 2, 0] = float("nan")
    with pytest.raises(BadInput, match="image 1 of the batch holds NaN"):
        images.check_images(batch)


def test_masks_broadcast_and_clamp():
    mask = torch.tensor([[[0.0, 2.0], [-1.0, 0.5]]])
    matched = images.match_masks(mask, 3, 2, 2)
    assert matched.shape == (3, 2, 2)
    assert matched[2].tolist() == [[0, 1], [0, 0.5]]


def test_mask_without_batch_axis_is_one_mask():
    assert images.match_masks(torch.ones(4, 6), 2, 4, 6).shape == (2, 4, 6)


def test_mask_of_the_same_aspect_is_resized():
    mask = torch.zeros(1, 8, 16)
    mask[:, :, 8:] = 1
    resized = images.match_masks(mask, 1, 4, 8)
    assert resized[0, :, :3].max() == 0
    assert resized[0, :, 5:].min() == 1


def test_zero_mask_of_load_image_is_empty_at_any_aspect():
    assert images.match_masks(torch.zeros(1, 64, 64), 2, 30, 70).sum() == 0


def test_mask_of_another_aspect_is_refused():
    with pytest.raises(BadInput, match="64 x 64 pixels has another aspect ratio than the image of 70 x 30"):
        images.match_masks(torch.ones(1, 64, 64), 1, 30, 70)


def test_batch_mismatch_is_refused():
    with pytest.raises(BadInput, match="2 masks for 3 images"):
        images.match_masks(torch.ones(2, 4, 4), 3, 4, 4)
