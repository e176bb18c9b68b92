"""Indexes of folders: what is looked at again, what survives an interrupt, two processes, and broken files."""

import json
import os
import threading

import pytest
import torch
from PIL import Image
from trilemma.models.errors import BadInput
from trilemma.models.retrieval.indexing import Indexing
from trilemma.models.retrieval.search import unit_rows
from trilemma.models.retrieval.store import IndexStore, Known
from trilemma.tests.scoring.toy import Toy, pictures


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "pictures"
    made.mkdir()
    for number, pixels in enumerate(pictures(9)):
        Image.fromarray(pixels.numpy()).save(made / f"{number}.png")
    return made


def index(folder, toy=None, batch_size=4, subfolders=False, **settings):
    toy = toy or Toy()
    indexing = Indexing(folder.parent / "cache", folder, subfolders, toy)
    with torch.inference_mode():
        found, work = indexing.run(batch_size, **settings)
    return found, work, sum(toy.batches)


def expected(toy=None, chosen=range(9)):
    toy = toy or Toy()
    return unit_rows(toy.extract(toy.prepare(pictures(9)[list(chosen)]), ("deep",)).taps[0])


def test_rows_are_the_features_at_length_one(folder):
    found, work, looked = index(folder)
    torch.testing.assert_close(found.rows, expected())
    assert found.names == tuple((f"{number}.png",) for number in range(9))
    assert (work.new, work.described, work.unchanged, work.gone, looked) == (9, 9, 0, 0, 9)


def test_a_second_run_looks_at_nothing(folder):
    first, _, _ = index(folder)
    again, work, looked = index(folder)
    assert looked == 0 and (work.new, work.unchanged) == (0, 9)
    assert torch.equal(again.rows, first.rows) and again.names == first.names


def test_new_changed_touched_renamed_and_removed_files(folder):
    index(folder)
    (folder / "0.png").unlink()
    (folder / "1.png").rename(folder / "renamed.png")
    os.utime(folder / "2.png", ns=(1, 1))
    Image.new("RGB", (4, 4), (9, 9, 9)).save(folder / "3.png")
    Image.new("RGB", (4, 4), (7, 7, 7)).save(folder / "new.png")
    found, work, looked = index(folder)
    assert looked == 2  # touched and renamed ones are known by their pixels
    assert (work.new, work.described, work.unchanged, work.gone) == (4, 2, 5, 2)
    names = {name for names in found.names for name in names}
    assert names == {path.name for path in folder.iterdir()}
    assert found.count == 9
    anew = Indexing(folder.parent / "other", folder, False, Toy()).run(4)[0]
    of_anew = {names[0]: row for names, row in zip(anew.names, anew.rows, strict=True)}
    for names, row in zip(found.names, found.rows, strict=True):
        if names:
            torch.testing.assert_close(row, of_anew[names[0]])


def test_a_picture_that_is_gone_is_not_found(folder):
    first, _, _ = index(folder)
    (folder / "4.png").unlink()
    found, _, _ = index(folder)
    places = found.nearest(first.rows[4:5], 20).places[0].tolist()
    assert sorted(places) == [0, 1, 2, 3, 5, 6, 7, 8]


def test_equal_pictures_share_a_row(folder):
    Image.open(folder / "5.png").save(folder / "again.png", compress_level=0)
    found, work, looked = index(folder)
    assert looked == 9 and work.new == 10
    assert ("5.png", "again.png") in found.names
    assert found.count == 9


def test_broken_pictures_are_named_once_and_not_read_again(folder):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    found, _, _ = index(folder)
    assert list(found.unreadable) == ["broken.png"]
    assert found.count == 9
    again, work, _ = index(folder)
    assert again.unreadable == found.unreadable and work.new == 0
    Image.new("RGB", (4, 4)).save(folder / "broken.png")
    mended, work, looked = index(folder)
    assert not mended.unreadable and mended.count == 10 and looked == 1


def test_features_that_are_no_numbers_are_named(folder):
    Image.new("RGB", (4, 4), (255, 0, 0)).save(folder / "white.png")
    Image.new("RGB", (4, 4), (255, 0, 0)).save(folder / "white too.png")
    found, _, _ = index(folder, Toy(broken=True))
    assert {"white.png", "white too.png"} <= found.unreadable.keys()
    assert bool(torch.isfinite(found.rows).all())


def test_a_folder_of_broken_pictures_is_refused(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"none of its pictures can be read: a\.png"):
        index(tmp_path / "set")


class Stop(BaseException):
    pass


def test_an_interrupt_keeps_what_was_indexed(folder):
    def stop(done, preview=None):
        if done >= 4:
            raise Stop

    with pytest.raises(Stop):
        index(folder, batch_size=2, on_step=stop)
    found, work, looked = index(folder, batch_size=2)
    assert (looked, work.described, work.new) == (5, 5, 5)
    torch.testing.assert_close(found.rows, expected())


def test_other_extractors_and_folders_have_their_own(folder):
    index(folder)
    assert index(folder, Toy(weights=1))[2] == 9
    assert index(folder, Toy(resize="other"))[2] == 9
    assert index(folder)[2] == 0


@pytest.mark.parametrize("damage", ["table", "rows", "short", "places"])
def test_a_damaged_index_is_made_anew(folder, damage):
    index(folder)
    cache = folder.parent / "cache"
    (table,), (rows,) = cache.glob("*.json"), cache.glob("*.rows")
    if damage == "table":
        table.write_text("{")
    elif damage == "rows":
        rows.unlink()
    elif damage == "short":
        rows.write_bytes(rows.read_bytes()[:-1])
    else:
        told = json.loads(table.read_text())
        told["places"] = {digest: place + 100 for digest, place in told["places"].items()}
        table.write_text(json.dumps(told))
    found, _, looked = index(folder)
    assert looked == 9
    torch.testing.assert_close(found.rows, expected())


def test_an_index_in_use_outlives_one_that_is_made_anew(folder):
    before, _, _ = index(folder)
    next((folder.parent / "cache").glob("*.json")).write_text("{")
    index(folder, batch_size=1)
    torch.testing.assert_close(before.rows, expected())


def test_what_cannot_be_written_is_still_searched(folder):
    (folder.parent / "cache").write_text("a file where the folder shall be")
    found, work, _ = index(folder)
    assert "not kept for later runs" in work.note
    torch.testing.assert_close(found.rows, expected())


def test_two_writers_add_to_one_index(tmp_path):
    def store():
        return IndexStore(tmp_path / "cache", tmp_path, False, Toy().source, "deep", 6)

    names = [f"{number}.png" for number in range(40)]

    def write(numbers):
        for number in numbers:
            row = torch.full((6,), float(number))
            store().add({names[number]: Known((1, 1), f"{number}")}, {f"{number}": row}, names)

    writers = [threading.Thread(target=write, args=(range(start, 40, 2),)) for start in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = store().read()
    assert sorted(found.files) == sorted(names)
    rows = store().rows(found)
    assert all(float(rows[found.places[f"{number}"]].mean()) == number for number in range(40))


def test_rows_of_many_pictures_that_are_gone_are_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("trilemma.models.retrieval.store.SPARE", 3)
    store = IndexStore(tmp_path / "cache", tmp_path, False, Toy().source, "deep", 6)
    rows = {f"{n}": torch.full((6,), float(n)) for n in range(10)}
    before = store.add({f"{n}.png": Known((1, 1), f"{n}") for n in range(10)}, rows, [f"{n}.png" for n in range(10)])
    mapped = store.rows(before)
    after = store.add({}, {}, ["7.png", "2.png"])
    assert after.count == 2 and len(list((tmp_path / "cache").glob("*.rows"))) == 1
    assert {digest: float(store.rows(after)[place][0]) for digest, place in after.places.items()} == {"2": 2, "7": 7}
    assert float(mapped[9].mean()) == 9  # of whoever reads the old one still


def test_the_cache_keeps_its_limit(folder):
    index(folder)
    (first,) = (folder.parent / "cache").glob("*.json")
    os.utime(first, ns=(1, 1))
    store = IndexStore(folder.parent / "cache", folder, True, Toy().source, "deep", 6)
    store.add({"a.png": Known((1, 1), "a")}, {"a": torch.ones(6)}, ["a.png"], limit=100)
    assert not first.exists()
    assert [path.suffix for path in (folder.parent / "cache").glob("[0-9a-f]*")].count(".rows") == 1


def test_what_a_killed_writer_left_is_written_over(folder):
    found, _, _ = index(folder)
    (rows,) = (folder.parent / "cache").glob("*.rows")
    rows.write_bytes(rows.read_bytes() + b"half a row")
    Image.new("RGB", (4, 4), (7, 7, 7)).save(folder / "new.png")
    again, _, looked = index(folder)
    assert looked == 1
    torch.testing.assert_close(again.rows[:9], found.rows)
    toy = Toy()
    one = torch.full((1, 4, 4, 3), 7, dtype=torch.uint8)
    torch.testing.assert_close(again.rows[9:], unit_rows(toy.extract(toy.prepare(one), ("deep",)).taps[0]))


def test_links_in_circles_are_followed_once(folder):
    (folder / "round").symlink_to(folder)
    found, _, _ = index(folder, subfolders=True)
    assert found.count == 9


def test_itself_is_left_out_by_its_pixels(folder):
    found, _, _ = index(folder)
    near = found.nearest(found.rows[:2], 3, found.digests[:2])
    assert near.places.shape == (2, 3)
    assert 0 not in near.places[0].tolist() and 1 not in near.places[1].tolist()
    one = found._replace(rows=found.rows[:1], names=found.names[:1], digests=found.digests[:1])
    with pytest.raises(BadInput, match="no other picture"):
        one.nearest(found.rows[:1], 3, found.digests[:1])
