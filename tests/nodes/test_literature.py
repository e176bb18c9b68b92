"""The table of the literature, by the command line and by its node: measured, failed, absent, resumed, stopped."""

import json
import shutil

import pytest
from trilemma import headless, host
from trilemma.host import model_folders, standalone
from trilemma.models.errors import BadInput
from trilemma.models.files import catalog
from trilemma.models.generators.loading import GENERATORS
from trilemma.models.scoring import scores
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.nodes.common import literature

VAE, GAN = "starter emoji vae", "starter emoji stylegan2"
COUNT = 16
LiteratureTable = NODE_CLASS_MAPPINGS["TrilemmaLiteratureTable"]


@pytest.fixture(autouse=True)
def places(monkeypatch):
    monkeypatch.setattr(standalone, "_places", dict(standalone._places))


@pytest.fixture
def run(tmp_path, capsys):
    def call(*arguments):
        known = ["--models", str(tmp_path / "models"), "--output", str(tmp_path / "out"), "--count", str(COUNT)]
        code = headless.main(["literature", *known, *arguments])
        return code, capsys.readouterr().out

    return call


def measured(tmp_path):
    told = json.loads((tmp_path / "out" / "literature" / "scores.json").read_text())
    return {each["name"]: scores.from_json(json.dumps(each)) for each in told}


@pytest.mark.slow
def test_systems_are_measured_and_stand_over_the_published_rows(run, tmp_path):
    code, text = run("--system", VAE, "--system", GAN)
    found = measured(tmp_path)
    assert code == headless.DONE
    assert set(found) == {"emoji vae", "emoji stylegan2"}
    for each in found.values():
        assert each.value("fid") > 0 and each.provenance["samples"] == COUNT
        assert each.cost["parameters"] > 0 and each.cost["seconds_per_image"] > 0 and each.cost["peak_bytes"] > 0
        assert len(each.provenance["conditions"]) == 1, "16 samples of 32 classes are drawn at random"
    assert text.index("emoji stylegan2") < text.index("StackGAN++"), "the literature stands beneath"
    for file in ("board.md", "board.csv", "board.json", "table.png", "trilemma_1.png"):
        assert (tmp_path / "out" / "literature" / file).stat().st_size


@pytest.mark.slow
def test_what_fails_is_told_and_the_others_are_measured(run, tmp_path):
    folder = tmp_path / "models" / "generators"
    folder.mkdir(parents=True)
    (folder / "broken.pt").write_text("hi")
    shutil.copy(catalog.starter_folder("generator", VAE) / "model.safetensors", folder / "mine.safetensors")
    code, text = run("--json", "--system", "broken.pt", "--system", "mine.safetensors")
    told = json.loads(text)["literature"]
    assert code == headless.NODE_FAILED
    assert "it is a text file" in told["failed"]["broken.pt"]
    assert set(measured(tmp_path)) == {"mine"}
    (absent,) = [file for file in told["absent"] if file["name"] == "bird_AttnGAN2.pth"]
    assert absent["folder"] == str(folder)


@pytest.mark.slow
def test_prompts_are_drawn_in_turn(run, tmp_path):
    folder = tmp_path / "models" / "generators" / "birds"
    folder.mkdir(parents=True)
    path = next(family for family in GENERATORS.families if family.name == "DF-GAN").tiny(folder)
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a bird\n\na red bird\n")
    name = path.relative_to(tmp_path / "models" / "generators").as_posix()
    code, text = run("--prompts", str(prompts), "--system", name)
    assert code == headless.DONE, text
    (found,) = measured(tmp_path).values()
    assert found.provenance["conditions"] == [["a bird", ""], ["a red bird", ""]]


@pytest.mark.slow
def test_a_stopped_run_goes_on(run, tmp_path):
    host.interrupt()
    assert run("--system", VAE)[0] == headless.STOPPED
    run("--system", VAE)
    (state,) = (tmp_path / "out" / "literature" / "systems").iterdir()
    before = {file.name: file.stat().st_mtime_ns for file in state.iterdir() if file.suffix != ".json"}
    run("--system", VAE)
    after = {file.name: file.stat().st_mtime_ns for file in state.iterdir() if file.suffix != ".json"}
    assert before == after, "what was drawn is not drawn again"


def test_model_folders_are_listed_once_for_all_that_is_in_them(tmp_path, monkeypatch):
    standalone.use_folders(models=tmp_path)
    (tmp_path / "generators" / "more").mkdir(parents=True)
    names = ["a.safetensors", "b.pth", "more/c.pt"]
    for name in names:
        (tmp_path / "generators" / name).touch()
    loader, listed = NODE_CLASS_MAPPINGS["TrilemmaLoadGenerator"], []
    expected = {name: loader.path(name) for name in names}
    walk = model_folders.walk_files
    monkeypatch.setattr(model_folders, "walk_files", lambda roots: listed.append(1) or walk(roots))

    assert literature.paths_here() == expected
    assert len(listed) == len(loader.SOURCES)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--count", "1"], "--count"),
        (["--seed", "-1"], "--seed"),
        (["--sort-by", "beauty"], "--sort-by: there is no 'beauty'"),
        (["--prompts", "none.txt"], "--prompts: none.txt cannot be read"),
        (["--system", "nothing.pt"], "no generator named 'nothing.pt'"),
        (["--extractor", "nothing.pt"], "no extractor named 'nothing.pt'"),
        (["--reference", "nowhere"], "pt_inception-2015-12-05-6726825d.pth is not on this machine"),
    ],
)
def test_a_call_that_cannot_be_is_refused(run, arguments, said):
    code, text = run(*arguments)
    assert code == headless.INVALID
    assert said in json.loads(text)["error"]["message"]


def table(systems, **given):
    return LiteratureTable().run(systems, COUNT, 0, "", "fid", "fid", "recall", "light", **given)["result"]


@pytest.fixture
def folders(tmp_path):
    generators = tmp_path / "models" / "generators"
    generators.mkdir(parents=True)
    standalone.use_folders(models=tmp_path / "models", output=tmp_path / "out", temp=tmp_path / "temp")
    return generators


@pytest.mark.slow
def test_a_graph_measures_what_is_named(folders):
    (folders / "broken.pt").write_text("hi")
    board, pictures, plots, markdown, _, data, report = table(f"{VAE}\n\nbroken.pt\n")
    (group,) = board.groups
    assert [row.name for row in group.rows] == ["emoji vae"]
    assert pictures.shape[0] == plots.shape[0] == 1
    assert markdown.index("emoji vae") < markdown.index("StackGAN++")
    assert json.loads(data)["groups"] and "it is a text file" in report and "bird_AttnGAN2.pth" in report


@pytest.mark.slow
def test_a_reference_of_ones_own_is_for_the_models_in_the_folder(folders):
    shutil.copy(catalog.starter_folder("generator", VAE) / "model.safetensors", folders / "mine.safetensors")
    scale = literature.scale_of("", "")
    board, *_ = table("*", extractor=scale.extractor, reference=scale.reference)
    assert [row.name for group in board.groups for row in group.rows] == ["mine"]
    with pytest.raises(BadInput, match="extractor, reference: one of them is connected"):
        table("*", reference=scale.reference)


@pytest.mark.parametrize(
    ("systems", "said"),
    [(" \n", "systems: there are none"), ("broken.pt", r"(?s)nothing was measured.*it is a text file")],
)
def test_a_graph_without_systems_is_refused(folders, systems, said):
    (folders / "broken.pt").write_text("hi")
    with pytest.raises(BadInput, match=said):
        table(systems)


def test_a_new_file_is_a_change(folders):
    before = LiteratureTable.IS_CHANGED()
    (folders / "new.pt").write_text("hi")
    assert LiteratureTable.IS_CHANGED() != before == ""
