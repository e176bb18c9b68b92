"""Image Grid: where each picture lies, how it is enlarged, and whether its label can be read."""

import pytest
import torch
from trilemma.models.errors import BadInput
from trilemma.models.pictures.grids import THEMES
from trilemma.models.pictures.resizing import FITS, enlarge
from trilemma.nodes.images import ImageGrid

GAP = 4


def batch(count: int, height: int, width: int, channels: int = 3) -> torch.Tensor:
    """Noise that is darker than the light background."""
    generator = torch.Generator().manual_seed(count * height)
    return torch.rand(count, height, width, channels, generator=generator) * 0.9


def run(labels="", column_labels="", columns=0, cell_size=0, fit="pad", gap=GAP, theme="light", **images):
    return ImageGrid().run(labels, column_labels, columns, cell_size, fit, gap, theme, **images)[0]


def test_one_batch_is_wrapped_into_a_square_and_enlarged_pixel_by_pixel():
    images = batch(5, 32, 32)
    result = run(images_3=images)
    assert result.shape == (1, 2 * 132 + 4, 3 * 132 + 4, 3)
    for number, image in enumerate(images):
        top, left = GAP + number // 3 * 132, GAP + number % 3 * 132
        assert torch.equal(result[0, top : top + 128, left : left + 128], enlarge(image, 4))
    assert result[0, 136:, 268:].eq(1).all()
    assert result[0, :GAP].eq(1).all()
    assert torch.equal(result, run(images_3=images))


def test_each_socket_is_a_labelled_row_as_long_as_the_longest_batch():
    rows = {"images_1": batch(2, 64, 64), "images_2": batch(4, 64, 64), "images_12": batch(1, 64, 64)}
    unlabelled = run(**rows)
    assert unlabelled.shape == (1, 3 * 132 + 4, 4 * 132 + 4, 3)
    labelled = run(labels="VAE\n\nStyleGAN2", **rows)
    label_width = labelled.shape[2] - unlabelled.shape[2] - GAP
    assert label_width > 40
    assert torch.equal(labelled[:, :, -unlabelled.shape[2] + GAP :], unlabelled[:, :, GAP:])
    ink = [labelled[0, top : top + 128, GAP : GAP + label_width].lt(0.5).any() for top in (4, 136, 268)]
    assert [bool(found) for found in ink] == [True, False, True]


@pytest.mark.parametrize("theme", THEMES)
def test_labels_are_of_full_contrast_and_are_not_cut_off(theme):
    background, ink = THEMES[theme]
    word = "Donaudampfschifffahrt"
    result = run(
        labels=f"{word} {word} {word}", column_labels=word, theme=theme, images_1=torch.full((1, 64, 64, 3), 0.5)
    )
    text = result[0].sub(background).abs()
    assert text.max() == 1
    assert result[0].unique().numel() > 3
    for edge in (result[0, :GAP], result[0, -GAP:], result[0, :, :GAP], result[0, :, -GAP:]):
        assert edge.eq(background).all()
    heights = result[0, :, GAP:140].eq(ink).any(dim=2).any(dim=1).nonzero()
    assert heights[-1] - heights[0] > 40


def test_a_label_stands_at_its_own_row_and_column():
    images = torch.full((2, 128, 128, 3), 0.5)
    result = run(labels="\nlow", column_labels="\nright", images_1=images, images_2=images)[0]
    dark = result.lt(0.25).all(dim=-1).nonzero()
    cells = result.eq(0.5).all(dim=-1).nonzero()
    row_label = dark[dark[:, 1] < cells[:, 1].min()]
    column_label = dark[dark[:, 0] < cells[:, 0].min()]
    assert row_label[:, 0].float().mean() > cells[:, 0].float().mean() + 50
    assert column_label[:, 1].float().mean() > cells[:, 1].float().mean() + 50
    assert len(row_label) + len(column_label) == len(dark)


def test_columns_break_longer_rows():
    images = batch(5, 128, 128)
    result = run(columns=2, images_1=images, images_2=images[:1])
    assert result.shape == (1, 4 * 132 + 4, 2 * 132 + 4, 3)
    assert torch.equal(result[0, 268:396, 4:132], images[4])
    assert torch.equal(result[0, 400:528, 4:132], images[0])


@pytest.mark.parametrize("fit", FITS)
def test_images_of_other_sizes_are_fitted_by_name(fit):
    """Cells of 64 x 96: the larger image twice as large; the smaller one may be 56 x 56, centred."""
    small, large = batch(1, 28, 28), batch(1, 32, 48)
    result = run(fit=fit, images_1=small, images_2=large)[0]
    assert result.shape == (140, 104, 3)
    assert torch.equal(result[72:136, 4:100], enlarge(large[0], 2))
    cell = result[4:68, 4:100]
    if fit == "pad":
        assert torch.equal(cell[4:60, 20:76], enlarge(small[0], 2))
        assert cell[:, :20].eq(1).all()
        assert cell[:4].eq(1).all()
    else:
        assert cell.lt(0.95).any(dim=-1).all()
        assert (cell.mean() - small.mean()).abs() < 0.05


def test_large_images_are_shrunk_to_a_cell_size():
    result = run(cell_size=50, images_1=batch(2, 200, 100).half(), images_2=batch(1, 50, 25, channels=4))
    assert result.shape == (1, 112, 2 * 29 + 4, 3)
    assert result.dtype == torch.float32
    assert torch.equal(result[0, 58:108, 4:29], batch(1, 50, 25, channels=4)[0, ..., :3])
    assert (result[0, 4:54, 4:29] - 0.45).abs().mean() < 0.1


def test_inputs_stay_as_they_are():
    images = batch(3, 16, 16)
    kept = images.clone()
    run(labels="a", images_1=images)
    assert torch.equal(images, kept)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "images_1 to images_12"),
        ({"labels": "a\nb", "images_1": batch(1, 8, 8)}, "labels: 2 lines for 1 connected rows"),
        ({"column_labels": "a\nb", "images_1": batch(1, 8, 8)}, "column_labels: 2 lines for 1 columns"),
        ({"labels": "VAE", "images_1": torch.zeros(0, 8, 8, 3)}, "images_1: .* is empty"),
        ({"cell_size": 4096, "images_1": batch(25, 8, 8)}, "5 x 5 cells of 4096 x 4096 pixels"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(BadInput, match=message):
        run(**arguments)
