"""The table of the literature, run from the command line: measured, failed, absent, resumed, stopped."""

import json
import shutil

import pytest
from trilemma import headless, host
from trilemma.host import standalone
from trilemma.models.files import catalog
from trilemma.models.generators.loading import GENERATORS
from trilemma.models.scoring import scores

VAE, GAN = "starter emoji vae", "starter emoji stylegan2"
COUNT = 16


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
