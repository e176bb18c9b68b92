"""The nodes that take, merge, save and load features, on the smallest extractor."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from trilemma import host
from trilemma.host import standalone
from trilemma.models.errors import BadCheckpoint, BadInput, MissingFile
from trilemma.models.generators.binding import Bound
from trilemma.models.scoring.evaluation import score
from trilemma.models.scoring.features.feature_set import gaussian_of, merge, summary
from trilemma.models.scoring.reports.scores_text import describe
from trilemma.models.scoring.taken_by import key_of
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.generators.toy import Toy as ToyGenerator
from trilemma.tests.nodes.running_graph import RunningGraph
from trilemma.tests.scoring.toy import SIZE, Toy, pictures

OfImages, OfFolder, Merge, Save, Load, Sample = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in ("ImageFeatures", "FolderFeatures", "MergeFeatures", "SaveFeatures", "LoadFeatures", "SampleImages")
)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for name in ("input", "output"):
        monkeypatch.setitem(standalone._places, name, tmp_path / name)
        (tmp_path / name).mkdir()


def handle(**changes) -> host.Handle:
    toy = Toy(**changes)
    return host.hold(toy, toy.modules)


def images(count, seed=0, **shape):
    return pictures(count, seed, **shape) / 255


def taken(batch, extractor=None, **settings):
    with torch.inference_mode():
        return OfImages().run(batch, extractor or handle(), **settings)["result"][0]


def put(folder, count, seed=0, **shape):
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(pictures(count, seed, **shape)):
        Image.fromarray(pixels.numpy()).save(folder / f"{seed}_{number}.png")


def of_folder(folder="set", extractor=None, **settings):
    with torch.inference_mode():
        return OfFolder().run("input", folder, extractor or handle(), **settings)["result"]


def assert_same(a, b, tolerance=1e-6):
    assert torch.equal(a.keys, b.keys)
    assert torch.equal(a.rows.keys, b.rows.keys)
    torch.testing.assert_close(a.rows.values, b.rows.values, rtol=tolerance, atol=tolerance)
    for one, other in zip(a.taps, b.taps, strict=True):
        torch.testing.assert_close(one.statistics.total, other.statistics.total, rtol=tolerance, atol=tolerance)
        torch.testing.assert_close(one.statistics.products, other.statistics.products, rtol=tolerance, atol=tolerance)
    assert torch.equal(a.classes.counts, b.classes.counts)


@pytest.mark.parametrize("batch_size", [0, 1, 3, 8])
def test_features_do_not_depend_on_the_batch(batch_size):
    toy = Toy()
    found = taken(images(8), host.hold(toy, toy.modules), batch_size=batch_size)
    assert max(toy.batches) == (batch_size or 8)
    assert_same(found, taken(images(8)))
    expected = toy.extract(toy.prepare(pictures(8)), ("deep",)).taps[0].double()
    torch.testing.assert_close(gaussian_of(found.taps[0]).covariance, torch.cov(expected.T), rtol=1e-6, atol=1e-6)


def test_a_batch_that_does_not_fit_is_halved():
    assert_same(taken(images(11), handle(room=2), batch_size=8), taken(images(11)))


def test_the_same_run_gives_the_same_bits():
    assert_same(taken(images(8)), taken(images(8)), tolerance=0)


def test_alpha_is_ignored_and_one_image_is_a_set():
    assert_same(taken(torch.cat([images(3), images(3)[..., :1]], dim=-1)), taken(images(3)))
    assert taken(images(1)).count == 1


def test_taps_are_taken_only_when_asked_for():
    assert [tap.name for tap in taken(images(2)).taps] == ["deep"]
    assert [tap.name for tap in taken(images(2), sfid=True).taps] == ["deep", "place"]
    both = taken(images(2), sfid=True, compound_fid=True)
    assert [tap.name for tap in both.taps] == ["deep", "place", "early"]


def test_rows_are_kept_by_number_and_seed():
    assert len(taken(images(9), kept_rows=4).rows.keys) == 4
    assert not torch.equal(
        taken(images(9), kept_rows=4).rows.keys, taken(images(9), kept_rows=4, rows_seed=7).rows.keys
    )


def drawn(count, seed):
    toy = ToyGenerator()
    batch, records = Sample().run(host.hold(Bound(toy), toy.modules), count, seed)["result"]
    return taken(batch, records=records)


def test_records_tell_samples_apart_and_runs_add_up():
    whole = drawn(12, 3)
    parts = [drawn(count, seed) for count, seed in ((5, 3), (1, 8), (6, 9))]
    assert_same(Merge().run("", **{f"features_{i}": part for i, part in enumerate(parts, 1)})["result"][0], whole)
    with pytest.raises(BadInput, match="2 samples are in more than one"):
        Merge().run("", features_1=parts[0], features_2=drawn(4, 6))


def test_the_greatest_seeds_have_a_place_too():
    records = json.dumps([{"seed": 2**64 - 2}, {"seed": 2**64 - 1}, {"seed": 0}])
    assert taken(images(3), records=records).classes.counts.sum() == 3


def test_equal_images_of_other_seeds_are_samples_of_their_own():
    batch = images(1).expand(3, -1, -1, -1)
    records = json.dumps([{"seed": seed, "index": 0} for seed in range(3)])
    assert taken(batch, records=records).count == 3
    assert taken(batch).count == 3
    with pytest.raises(BadInput, match="counted already"):
        taken(batch, records=json.dumps([{"seed": 1, "index": index} for index in range(3)]))


@pytest.mark.slow
def test_the_splits_of_a_batch_are_even_and_many_small_batches_fill_all():
    assert taken(images(25)).classes.counts.sort().values.tolist() == [2] * 5 + [3] * 5
    parts = [taken(images(4, seed)) for seed in range(12)]
    merged = Merge().run("", **{f"features_{number}": part for number, part in enumerate(parts, 1)})["result"][0]
    assert merged.classes.counts.min() > 0


@pytest.mark.parametrize(
    ("records", "message"),
    [("[{}]", "records: 1 records for 2 images"), ("[{}, {}]", "expected a seed in every record, found None")],
)
def test_records_of_other_images(records, message):
    with pytest.raises(BadInput, match=message):
        taken(images(2), records=records)


@pytest.mark.parametrize(
    ("batch", "settings", "message"),
    [
        (torch.zeros(0, 4, 4, 3), {}, "images: the batch of shape .* is empty"),
        (torch.full((2, 4, 4, 3), torch.nan), {}, "images: image 0 of the batch holds NaN"),
        (torch.zeros(2, 4, 4), {}, "images: expected images of shape"),
    ],
)
def test_images_that_cannot_be_taken(batch, settings, message):
    with pytest.raises(BadInput, match=message):
        taken(batch, **settings)


def test_features_that_are_not_numbers():
    with pytest.raises(BadInput, match="toy gave values that are not numbers"):
        taken(torch.ones(2, 4, 4, 3), handle(broken=True))


def test_scores_that_an_extractor_cannot_serve():
    extractor = handle()
    extractor.model.spatial = None
    with pytest.raises(BadInput, match="sfid: toy has no features for it"):
        taken(images(2), extractor, sfid=True)


def test_a_folder_of_saved_images_has_their_features(tmp_path):
    put(tmp_path / "input" / "set", 9)
    features, count, report = of_folder()
    assert count == features.count == 9
    assert features.name == "set"
    assert report.startswith("set: 9 images\ntaken by: toy 00000000, resize cut")
    expected = taken(images(9))
    torch.testing.assert_close(features.taps[0].statistics.products, expected.taps[0].statistics.products)


def test_a_folder_is_taken_once_until_it_changes(tmp_path):
    put(tmp_path / "input" / "set", 3)
    extractor = handle()
    first, _, report = of_folder(extractor=extractor)
    assert "kept from" not in report
    again, _, report = of_folder(extractor=extractor, name="renamed")
    assert extractor.model.batches == [3]
    assert "kept from an earlier run" in report
    assert again.name == "renamed"
    assert_same(again, first, tolerance=0)
    assert list((tmp_path / "output" / "trilemma" / "cache").glob("*.npz"))
    before = OfFolder.IS_CHANGED("input", "set")
    put(tmp_path / "input" / "set", 2, seed=1)
    assert OfFolder.IS_CHANGED("input", "set") != before
    assert of_folder(extractor=extractor)[1] == 5
    assert extractor.model.batches == [3, 5]


def test_corrupt_files_are_named_or_left_out(tmp_path):
    put(tmp_path / "input" / "set", 4)
    for name in ("0_1.png", "0_3.png"):
        (tmp_path / "input" / "set" / name).write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"2 files cannot be read as pictures: 0_1\.png .*0_3\.png"):
        of_folder()
    _, count, report = of_folder(skip_corrupt=True)
    assert count == 2
    assert "left out, not readable: 2\n  0_1.png: " in report
    with pytest.raises(BadInput, match="2 files cannot be read"):
        of_folder()


@pytest.mark.parametrize(
    ("folder", "error", "message"),
    [
        ("", BadInput, "folder: it is empty"),
        ("none", MissingFile, "there is no folder 'none'"),
        ("../output", BadInput, "leads out of"),
        ("empty", MissingFile, "holds no picture"),
    ],
)
def test_folders_that_cannot_be_taken(tmp_path, folder, error, message):
    (tmp_path / "input" / "empty").mkdir()
    with pytest.raises(error, match=message):
        of_folder(folder)


def test_an_interrupt_stops_and_nothing_is_kept(tmp_path):
    put(tmp_path / "input" / "set", 5)
    standalone.interrupt()
    with pytest.raises(standalone.Interrupted):
        of_folder(batch_size=2)
    assert not (tmp_path / "output" / "trilemma").exists()


def test_merging_equals_one_pass():
    whole = taken(images(9))
    parts = {f"features_{number}": taken(part) for number, part in ((1, images(9)[:4]), (12, images(9)[4:]))}
    merged, info = Merge().run("all", **parts)["result"]
    assert torch.equal(merged.keys, whole.keys)
    assert torch.equal(merged.rows.values, whole.rows.values)
    torch.testing.assert_close(
        merged.taps[0].statistics.products, whole.taps[0].statistics.products, rtol=1e-12, atol=0
    )
    assert info.startswith("all: 9 images")
    assert Merge().run("", features_3=whole)["result"][0] == whole


def test_sets_that_cannot_be_merged():
    with pytest.raises(BadInput, match="features_1: nothing is connected"):
        Merge().run("")
    with pytest.raises(BadInput, match="were taken in different ways"):
        Merge().run("", features_1=taken(images(3)), features_2=taken(images(3, 1), handle(weights=1)))
    with pytest.raises(BadInput, match="were taken in different ways"):
        Merge().run("", features_1=taken(images(3)), features_2=taken(images(3, 1), handle(resize="pad")))


@pytest.mark.slow
def test_a_file_grows_from_run_to_run(tmp_path):
    for first, last in ((0, 4), (4, 5), (5, 9)):
        shown = Save().run(taken(images(9)[first:last], name="runs"), "runs/a", "trilemma")
    total, name = shown["result"]
    assert name == "runs/a.npz"
    assert shown["ui"]["text"][0].startswith("runs/a.npz\nruns: 9 images")
    loaded, info = Load().run("output", name)["result"]
    assert_same(loaded, total, tolerance=0)
    assert torch.equal(loaded.keys, taken(images(9)).keys)
    assert info.startswith("runs: 9 images\n")
    before = (tmp_path / "output" / name).read_bytes()
    with pytest.raises(BadInput, match=r"1 of the 1 samples of images are in a\.npz already"):
        Save().run(taken(images(9)[4:5]), name, "trilemma")
    assert (tmp_path / "output" / name).read_bytes() == before
    changed = Load.IS_CHANGED("output", name)
    Save().run(taken(images(9)[4:5]), name, "trilemma", overwrite=True)
    assert Load().run("output", name)["result"][0].count == 1
    assert Load.IS_CHANGED("output", name) != changed


def test_mean_and_covariance_go_out_and_come_back(tmp_path):
    features = taken(images(30))
    name = Save().run(features, "stats.npz", "mu sigma")["result"][1]
    with np.load(tmp_path / "output" / name) as file:
        assert sorted(file.files) == ["mu", "sigma"]
    loaded = Load().run("output", name, handle())["result"][0]
    assert torch.equal(gaussian_of(loaded.taps[0]).covariance, gaussian_of(features.taps[0]).covariance)
    assert loaded.source == features.source
    with pytest.raises(BadInput, match="does not say by which network"):
        Load().run("output", name)
    with pytest.raises(BadInput, match="switch overwrite on"):
        Save().run(features, name, "mu sigma")
    with pytest.raises(BadInput, match="mean and covariance only"):
        Merge().run("", features_1=features, features_2=loaded)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("", BadInput, "file: '' is no name of a file"),
        (".", BadInput, "is no name of a file"),
        ("../a", BadInput, "file: '../a' leads out of"),
        ("missing", MissingFile, r"there is no file missing\.npz"),
        ("rubbish", BadCheckpoint, r"rubbish\.npz is broken"),
    ],
)
def test_files_that_cannot_be_loaded(tmp_path, name, error, message):
    (tmp_path / "output" / "rubbish.npz").write_bytes(b"rubbish")
    with pytest.raises(error, match=message):
        Load().run("output", name)


@pytest.mark.parametrize("name", ["out/set", "out/set.npz", "linked", "linked.npz"])
def test_features_are_written_and_read_inside_the_folder_only(tmp_path, name):
    """Through links of folders, and of the file that the name stands for once it has its ending."""
    features = OfImages().run(images(3), handle())["result"][0]
    (tmp_path / "outside").mkdir()
    (tmp_path / "output").mkdir(exist_ok=True)
    try:
        (tmp_path / "output" / "out").symlink_to(tmp_path / "outside", target_is_directory=True)
    except OSError:
        pytest.skip("the system makes no links")
    (tmp_path / "output" / "linked.npz").symlink_to(tmp_path / "outside" / "linked.npz")
    for layout in ("trilemma", "mu sigma"):
        with pytest.raises(BadInput, match="leads out of"):
            Save().run(features, name, layout)
    Save().run(features, "set", "trilemma")
    for file in ("set.npz", "linked.npz"):
        (tmp_path / "outside" / file).write_bytes((tmp_path / "output" / "set.npz").read_bytes())
    with pytest.raises(BadInput, match="leads out of"):
        Load().run("output", name)


def test_the_info_tells_what_is_kept():
    info = OfImages().run(images(3), handle(), name="three", kept_rows=2)["result"][1]
    assert info.splitlines() == [
        "three: 3 images",
        "taken by: toy 00000000, resize cut",
        f"statistics: deep ({SIZE})",
        "rows for KID, precision and recall: 2 of at most 2, seed 0",
        "Inception score: 10 splits",
    ]


@pytest.mark.parametrize(
    ("above", "readers"),
    [
        ({"_1": ("LoadImage", {"image": "a.jpg"})}, (host.image_reader(),)),
        ({"_1": ("TrilemmaLoadImages", {"path": "set"})}, ("Pillow",)),
        ({"_1": ("EmptyImage", {})}, ()),
        (
            {"_1": ("SampleImages", {"generator": ["3", 0]}), "_3": ("TrilemmaImagesAsGenerator", {"folder": "set"})},
            ("Pillow",),
        ),
        ({"_1": ("SampleImages", {"generator": ["3", 0]}), "_3": ("TrilemmaImagesAsGenerator", {"folder": ""})}, ()),
        (
            {"_1": ("ImageScale", {"image": ["3", 0], "width": 4}), "_3": ("LoadImageOutput", {})},
            (host.image_reader(),),
        ),
    ],
)
def test_sets_name_what_read_their_files(above, readers):
    graph = RunningGraph(_2=("TrilemmaImageFeatures", {"images": ["1", 0]}), **above)
    found = taken(images(3), graph=graph, node_id="2")
    assert found.readers == readers
    assert ("files read by" in summary(found)) == bool(readers)
    name = Save().run(found, "read.npz", "trilemma")["result"][1]
    assert Load().run("output", name)["result"][0].readers == readers


def test_sets_read_in_two_ways_are_scored_with_a_warning(tmp_path):
    put(tmp_path / "input" / "set", 12)
    reference = of_folder()[0]
    assert reference.readers == ("Pillow",)
    assert of_folder()[0].readers == ("Pillow",)
    generated = taken(images(12, seed=1))
    texts, keys = {}, {}
    for readers in ((), ("Pillow",), ("PyAV",), ("Pillow", "PyAV")):
        scores = score(generated._replace(readers=readers), reference)
        texts[readers], keys[readers] = describe(scores), key_of(scores.provenance)
    assert "warning: the generated set's files were read by PyAV, the reference's by Pillow" in texts["PyAV",]
    assert "Load Images of this pack" in texts["PyAV",]
    assert "read by Pillow and PyAV, the reference's by Pillow" in texts["Pillow", "PyAV"]
    assert "warning: the generated set's" not in texts[()] + texts["Pillow",]
    # What was drawn, and what was saved and read back, still rank together.
    assert keys[()] == keys["Pillow",] != keys["PyAV",]
    merged = merge([reference, generated._replace(readers=("PyAV",))])
    assert merged.readers == ("Pillow", "PyAV")
