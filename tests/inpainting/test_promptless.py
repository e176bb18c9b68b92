"""What LaMa and MAT share: how pictures are padded, and what is said where spandrel is missing."""

import sys

import pytest
import torch
from trilemma.models.errors import CannotDo
from trilemma.models.inpainting import lama, mat
from trilemma.models.inpainting.loading import INPAINTERS
from trilemma.models.inpainting.promptless import mirrored, network_class


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((1, 1), (3, 2)), ((2, 3), (8, 8)), ((3, 5), (4, 6)), ((4, 4), (4, 4))],
)
def test_pictures_are_mirrored_at_the_right_and_below(size, wanted):
    """Index by index: the mirror image without the last pixel, and then the last of it again and again."""
    picture = torch.arange(float(size[0] * size[1])).reshape(1, 1, *size)
    padded = mirrored(picture, wanted)
    rows, columns = (
        [min(place, 2 * side - 2) if place >= side else place for place in range(longer)]
        for side, longer in zip(size, wanted, strict=True)
    )
    rows, columns = (
        [2 * (side - 1) - place if place >= side else place for place in places]
        for side, places in zip(size, (rows, columns), strict=True)
    )
    assert torch.equal(padded[0, 0], picture[0, 0][rows][:, columns])


@pytest.fixture
def without_spandrel(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] in ("spandrel", "spandrel_extra_arches")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("spandrel", "spandrel_extra_arches"):
        monkeypatch.setitem(sys.modules, name, None)


def test_a_missing_package_is_named_and_where_it_is_from(without_spandrel, tmp_path):
    path = lama.write_tiny(tmp_path)
    with pytest.raises(CannotDo, match=r"LaMa runs by spandrel, which is not installed.*'pip install spandrel'"):
        INPAINTERS.load(path)


def test_mat_needs_another_package_than_lama(without_spandrel):
    with pytest.raises(CannotDo, match=r"MAT runs by spandrel_extra_arches.*'pip install spandrel-extra-arches'"):
        network_class("spandrel_extra_arches", "MAT", "MAT", "Generator")


def test_another_version_of_a_package_is_told():
    pytest.importorskip("spandrel", reason="spandrel is not installed")
    with pytest.raises(CannotDo, match=r"the installed spandrel has no LaMa as the pack knows it.*0\.4\.2 is known"):
        network_class("spandrel", "LaMa", "LaMa", "NoSuchNetwork")


def test_mats_file_is_refused_before_its_package_is_asked_for(without_spandrel):
    """What is wrong with a file is known without the package."""
    shapes = mat.shapes(mat.TINY)
    assert len(shapes) == len(set(shapes))
    assert mat.sizes_of({name: torch.empty(shape, device="meta") for name, shape in shapes.items()}) == mat.TINY
