"""One rule for names that graphs hold: it counts where a path ends up, by '..' and by links."""

import os

import pytest
import torch
from trilemma.host.core_nodes import write_images
from trilemma.models.errors import BadInput
from trilemma.models.files.paths import file_inside, path_inside, prefix_inside
from trilemma.models.generators import saving
from trilemma.models.pictures.picture_folders import folder_inside
from trilemma.models.scoring.reports import leaderboard_files

IMAGES = torch.zeros(1, 8, 8, 3)


@pytest.fixture
def root(tmp_path):
    """The folder `output` with links out of it, and with one that stays inside; `outside` lies beside it."""
    output = tmp_path / "output"
    (output / "kept").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    try:
        (output / "out").symlink_to(tmp_path / "outside", target_is_directory=True)
    except OSError:
        pytest.skip("the system makes no links")
    (output / "file.npz").symlink_to(tmp_path / "outside" / "file.npz")
    (output / "inner").symlink_to(output / "kept", target_is_directory=True)
    (output / "loop").symlink_to(output / "loop")
    return output


OUT = ["..", "../x", "kept/../../x", "/etc", "C:\\x", "..\\x", "out", "out/x", "kept/../out/x", "file.npz", "out\\x"]


@pytest.mark.parametrize("name", OUT)
def test_paths_that_lead_out(root, name):
    with pytest.raises(BadInput, match=r"^file: .* leads out of .*output"):
        path_inside(root, name, "file")


@pytest.mark.parametrize("name", ["a\0b", "loop/x"])
def test_names_that_are_no_paths(root, name):
    with pytest.raises(BadInput, match=r"^file: .* is no path") if "\0" in name else pytest.raises(BadInput):
        path_inside(root, name, "file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no such pipes")
def test_a_pipe_is_no_file(root):
    os.mkfifo(root / "pipe.png")
    with pytest.raises(BadInput, match=r"^file: 'pipe\.png' is a pipe or a device"):
        path_inside(root, "pipe.png", "file")


def test_names_longer_than_the_system_takes(root):
    with pytest.raises(BadInput, match=r"^file: 'x+' is no path \(.*\); write another"):
        path_inside(root, "x" * 300, "file")


@pytest.mark.parametrize("name", ["kept/a.txt/x", "kept/a.txt/new/x"])
def test_a_file_is_no_folder(root, name):
    (root / "kept" / "a.txt").write_bytes(b"")
    with pytest.raises(BadInput, match=r"^filename_prefix: .* leads through a\.txt, which is a file"):
        prefix_inside(root, name, "run/x")


@pytest.mark.parametrize(
    ("name", "path"),
    [("x", "x"), ("a/b.png", "a/b.png"), ("a\\b", "a/b"), ("kept/../x", "x"), ("./x", "x"), ("inner/x", "kept/x")],
)
def test_paths_that_stay_inside(root, name, path):
    assert path_inside(root, name, "file") == root / path
    linked = root.parent / "linked"
    linked.symlink_to(root, target_is_directory=True)
    assert path_inside(linked, name, "file") == linked / path


@pytest.mark.parametrize("name", ["", ".", "./", "kept/..", "a/b/../..", "inner/.."])
def test_the_folder_itself_is_no_file(root, name):
    if name != "inner/..":
        assert path_inside(root, name, "file") == root
    for find in (lambda: file_inside(root, name, "file", "x"), lambda: prefix_inside(root, name, "x")):
        with pytest.raises(BadInput, match="is no name of a file; write, for example, x"):
            find()


def save_samples(root, name):
    saving.save(IMAGES, [{}], root, name, {})


def save_leaderboard(root, name):
    leaderboard_files.save(leaderboard_files.Report("a", "b", "c", IMAGES, IMAGES), root, name, {})


def save_host_image(root, name):
    write_images(IMAGES, root, name, None, None)


def every_file(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("write", [save_samples, save_leaderboard, save_host_image])
@pytest.mark.parametrize("name", ["", ".", "./", "kept/..", "..", "../x", "out/x", "out/new/x", "kept/../out/x", "/x"])
def test_nothing_is_written_beside_the_folder(root, write, name):
    before = every_file(root.parent)
    with pytest.raises(BadInput, match="filename_prefix"):
        write(root, name)
    assert every_file(root.parent) == before


@pytest.mark.parametrize("write", [save_samples, save_leaderboard, save_host_image])
@pytest.mark.parametrize("name", ["x", "./x", "new/x", "kept/../x", "inner/x"])
def test_what_stays_inside_is_written(root, write, name):
    write(root, name)
    assert len(list(root.rglob("x_00001_*.png"))) > 0
    assert not every_file(root.parent / "outside")


def test_pictures_are_read_from_inside(root):
    assert folder_inside(root, "inner") == root / "kept"
    with pytest.raises(BadInput, match="leads out of"):
        folder_inside(root, "out")
