"""The nodes that condition a generator, set its options, draw from it and save, on the smallest generator."""

import json

import pytest
import torch
from PIL import Image
from trilemma import host
from trilemma.host import standalone
from trilemma.models.errors import BadInput, CannotDo
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.loading import GENERATORS
from trilemma.models.generators.options import OPTIONS
from trilemma.nodes import NODE_CLASS_MAPPINGS
from trilemma.tests.generators.toy import HEIGHT, WIDTH, Toy

Conditioned, Sample, Save, GAN, VAE, Autoregressive, Diffusion, Stages = (
    NODE_CLASS_MAPPINGS[f"Trilemma{name}"]
    for name in (
        "Condition",
        "SampleImages",
        "SaveSamples",
        "GANOptions",
        "VAEOptions",
        "AutoregressiveOptions",
        "DiffusionOptions",
        "ShowStages",
    )
)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setitem(standalone._places, "output", tmp_path / "output")


def handle(**changes) -> host.Handle:
    toy = Toy(**changes)
    return host.hold(Bound(toy), toy.modules)


def drawn(generator: host.Handle) -> list[int]:
    return generator.model.generator.drawn


@torch.inference_mode()
def sample(generator, count=5, seed=7, batch_size=0):
    images, text = Sample().run(generator, count, seed, batch_size)["result"]
    return images, json.loads(text)


@pytest.mark.parametrize("batch_size", [0, 1, 3, 5, 8])
def test_sample_i_depends_on_seed_plus_i_alone(batch_size):
    images, records = sample(handle(), batch_size=batch_size)
    assert images.shape == (5, HEIGHT, WIDTH, 3)
    assert images.dtype == torch.float32
    assert [record["seed"] for record in records] == [7, 8, 9, 10, 11]
    for index in range(5):
        alone, _ = sample(handle(), count=1, seed=7 + index)
        torch.testing.assert_close(images[index], alone[0], rtol=0, atol=1e-6)
    assert len({tuple(image.flatten().tolist()) for image in images}) == 5


def test_seeds_wrap_around():
    _, records = sample(handle(), count=2, seed=noise.SEEDS - 1)
    assert [record["seed"] for record in records] == [noise.SEEDS - 1, 0]


def test_records_tell_how_each_image_was_drawn():
    generator = GAN().run(handle(), truncation_psi=0.5)[0]
    generator = Conditioned().run(generator, "light\n\n 1 \n")[0]
    _, records = sample(generator, count=3)
    assert records[1] == {
        "index": 1,
        "seed": 8,
        "condition": "1",
        "negative_prompt": "",
        "family": "gan",
        "architecture": "Toy",
        "weights": "toy",
        "settings": {"truncation_psi": 0.5},
    }
    assert [record["condition"] for record in records] == ["light", "1", "light"]


def test_a_batch_that_does_not_fit_is_halved_and_nothing_drawn_twice_or_lost():
    expected, _ = sample(handle(), count=11)
    generator = handle(room=3)
    images, _ = sample(generator, count=11, batch_size=8)
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-6)
    assert drawn(generator) == list(range(11))


def test_what_was_drawn_stays_when_memory_runs_out_later():
    """The second batch fails; the run goes on behind the first, with smaller ones."""
    generator = handle()
    toy = generator.model.generator
    once = toy._check_room
    calls = []

    def check_room(batch_size):
        calls.append(batch_size)
        # Drawing checks twice, in `draw` and in `decode`.
        if len(calls) == 3:
            raise torch.cuda.OutOfMemoryError("later")
        once(batch_size)

    toy._check_room = check_room
    images, _ = sample(generator, count=11, batch_size=4)
    expected, _ = sample(handle(), count=11)
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-6)
    assert drawn(generator) == list(range(11))
    assert calls == [4, 4, 4, 2, 2, 2, 2, 2, 2, 1, 1]


def test_the_automatic_batch_stays_below_a_gigabyte():
    generator = handle()
    toy = generator.model.generator
    sizes = []
    toy._check_room = sizes.append
    sample(generator, count=9)
    assert max(sizes) == 4
    assert toy.memory_bytes(4) == 2**30


def test_an_interrupt_stops_within_one_step():
    generator = handle()
    standalone.interrupt()
    with pytest.raises(standalone.Interrupted):
        sample(generator, count=4, batch_size=2)
    assert drawn(generator) == []


def test_progress_counts_every_step_of_every_image(monkeypatch):
    from contextlib import contextmanager

    seen = []

    @contextmanager
    def progress(total):
        seen.append(total)
        yield lambda done, preview=None: seen.append((done, preview is not None))

    monkeypatch.setattr(host, "progress", progress)
    sample(handle(), count=5, batch_size=2)
    total, *steps = seen
    assert total == 10
    counts = [done for done, _ in steps]
    assert counts == sorted(counts)
    assert {2, 4, 6, 8, 9, 10} == set(counts)
    assert (4, True) in steps


def test_a_line_with_a_star_is_every_class():
    bound = Conditioned().run(handle(), "*")[0].model
    assert bound.conditions == (Condition("light"), Condition("dark"))
    unnamed = Conditioned().run(handle(class_names=()), "*\n1")[0].model
    assert [condition.text for condition in unnamed.conditions] == ["0", "1", "1"]


def test_conditions_change_what_is_drawn():
    light, _ = sample(Conditioned().run(handle(), "Light")[0])
    dark, _ = sample(Conditioned().run(handle(), "dark")[0])
    torch.testing.assert_close(dark, light / 2)


def test_a_negative_prompt_alone_is_a_condition():
    generator = handle(conditions=("none", "prompt"), num_classes=0, class_names=())
    bound = Conditioned().run(generator, " ", "rain")[0].model
    assert bound.conditions == (Condition("", "rain"),)


@pytest.mark.parametrize(
    ("changes", "inputs", "error", "message"),
    [
        ({}, ("",), BadInput, "condition: it is empty"),
        ({}, ("grey",), BadInput, "no class 'grey'; give one of light, dark, or a number from 0 to 1"),
        ({}, ("light", "rain"), CannotDo, "negative_prompt: Toy takes no prompts"),
        ({}, ("light \ud83d",), BadInput, "^text: .*ud83d.* holds half a character"),
        ({}, ("light", "rain \ud83d"), BadInput, "^negative_prompt: .*ud83d.* holds half a character"),
        ({"num_classes": 0}, ("light",), CannotDo, "condition: Toy takes none"),
        ({"num_classes": 0}, ("*",), CannotDo, r"text: \* stands for every class, but Toy has none"),
    ],
)
def test_conditions_that_cannot_be(changes, inputs, error, message):
    with pytest.raises(error, match=message):
        Conditioned().run(handle(**changes), *inputs)


@pytest.mark.parametrize("node", [GAN, VAE, Autoregressive, Diffusion])
def test_option_nodes_begin_neutral_and_have_every_option(node):
    """But for a critic's, which Guide Generator sets, and a Sweep changes."""
    fields = node.INPUT_TYPES()["optional"]
    options = {name: option for name, option in OPTIONS[node.FAMILY].items() if not name.startswith("critic_")}
    assert options
    assert options.keys() <= fields.keys()
    neutral = {name: fields[name][1]["default"] for name in options}
    generator = handle(family=node.FAMILY, options={})
    assert node().run(generator, **neutral)[0].model == generator.model


def test_options_of_another_family_and_options_it_lacks_are_errors():
    with pytest.raises(CannotDo, match=r"options of diffusion models; Toy is of the family gan.*truncation_psi"):
        Diffusion().run(handle(), steps=10)
    with pytest.raises(CannotDo, match=r"noise_mode: Toy has no such option.*truncation_psi"):
        GAN().run(handle(), noise_mode="const")
    with pytest.raises(BadInput, match=r"truncation_psi: 3.0 is outside its range, 0 to 2"):
        GAN().run(handle(), truncation_psi=3.0)


def test_option_nodes_leave_the_generator_that_came_in_as_it_was():
    generator = handle()
    narrowed = GAN().run(generator, truncation_psi=0.0)[0]
    assert narrowed.patchers is generator.patchers
    same, _ = sample(narrowed)
    varied, _ = sample(generator)
    assert len({tuple(image.flatten().tolist()) for image in varied}) == 5
    per_class = {tuple(round(value, 4) for value in image.flatten().tolist()) for image in same}
    assert len(per_class) <= 2


def test_saved_files_hold_their_own_records_and_the_graph(tmp_path):
    images, text = Sample().run(handle(), 3, 5)["result"]
    graph = {"1": {"class_type": "TrilemmaSampleImages", "inputs": {}}}
    shown = Save().run(images, text, "run/toy", graph, {"workflow": {"nodes": []}})
    assert shown["ui"]["images"] == [
        {"filename": f"toy_0000{number}_.png", "subfolder": "run", "type": "output"} for number in (1, 2, 3)
    ]
    assert shown["result"][0].splitlines()[2] == "run/toy_00003_.png"
    for index, name in enumerate(shown["result"][0].splitlines()):
        with Image.open(tmp_path / "output" / name) as file:
            chunks = {key: json.loads(value) for key, value in file.text.items()}
            assert file.size == (WIDTH, HEIGHT)
        assert chunks["trilemma"] == json.loads(text)[index]
        assert chunks["trilemma"]["seed"] == 5 + index
        assert chunks["prompt"] == graph
        assert chunks["workflow"] == {"nodes": []}


def test_numbers_go_on_from_the_highest(tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    for name in ("toy_00007_.png", "toy_00009.txt", "toys_00020_.png", "toy_x.png"):
        (folder / name).touch()
    images, text = Sample().run(handle(), 1, 0)["result"]
    assert Save().run(images, text, "toy")["result"][0] == "toy_00010_.png"
    assert not [path for path in folder.iterdir() if path.name.endswith(".part")]


def test_the_node_shows_the_first_of_many():
    shown = Save().run(*Sample().run(handle(), 20, 0)["result"], "run/toy")
    assert len(shown["ui"]["images"]) == 16
    assert shown["ui"]["text"] == ["20 files in run, the first 16 shown"]
    assert len(shown["result"][0].splitlines()) == 20


def test_overwriting_leaves_this_batch_alone(tmp_path):
    folder = tmp_path / "output" / "run"
    folder.mkdir(parents=True)
    for name in ("toys_00020_.png", "toy_x.png"):
        (folder / name).touch()
    Save().run(*Sample().run(handle(), 4, 0)["result"], "run/toy")
    images, text = Sample().run(handle(), 2, 9)["result"]
    names, subfolder = Save().run(images, text, "run/toy", overwrite=True)["result"]
    assert names.splitlines() == ["run/toy_00001_.png", "run/toy_00002_.png"]
    assert subfolder == "run"
    kept = ["toy_00001_.png", "toy_00002_.png", "toy_x.png", "toys_00020_.png"]
    assert sorted(path.name for path in folder.iterdir()) == kept
    with Image.open(folder / "toy_00001_.png") as file:
        assert json.loads(file.text["trilemma"])["seed"] == 9


def test_a_host_that_keeps_no_metadata_gets_the_record_only(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "keeps_metadata", lambda: False)
    images, text = Sample().run(handle(), 1, 0)["result"]
    name = Save().run(images, text, "toy", {"1": {}})["result"][0]
    with Image.open(tmp_path / "output" / name) as file:
        assert list(file.text) == ["trilemma"]


@pytest.mark.parametrize(
    ("text", "prefix", "message"),
    [
        ("[]", "toy", "records: 0 records for 2 images"),
        ("no", "toy", "records: no JSON"),
        ('{"a": 1}', "toy", "records: expected a JSON list"),
        ("[{}, {}]", "../toy", "filename_prefix: '../toy' leads out of"),
        ("[{}, {}]", "", "filename_prefix: '' is no name of a file"),
    ],
)
def test_what_cannot_be_saved(tmp_path, text, prefix, message):
    with pytest.raises(BadInput, match=message):
        Save().run(torch.zeros(2, 4, 4, 3), text, prefix)
    assert not list(tmp_path.rglob("*.png"))


def test_an_alpha_channel_is_kept(tmp_path):
    images = torch.tensor([0.0, 1 / 255, 0.5, 1.0]).expand(1, 2, 2, 4)
    name = Save().run(images, "[{}]", "toy")["result"][0]
    with Image.open(tmp_path / "output" / name) as file:
        assert file.getpixel((1, 1)) == (0, 1, 128, 255)


@pytest.fixture
def attngan(tmp_path):
    family = next(family for family in GENERATORS.families if family.name == "AttnGAN")
    generator = GENERATORS.load(family.tiny(tmp_path))
    return host.hold(Bound(generator), generator.modules)


@pytest.mark.slow
@torch.inference_mode()
def test_words_that_a_model_does_not_know_are_shown(attngan):
    told = Conditioned().run(attngan, "a crimson bird\na red bird")
    assert told["ui"]["text"][0].startswith("'crimson' is not known, nearest are ")
    _, records = sample(told["result"][0], count=2)
    assert records[0]["remark"] == told["ui"]["text"][0]
    assert Conditioned().run(attngan, "a red bird")[0].model.conditions == (Condition("a red bird"),)


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.parametrize("batch_size", [0, 1, 3])
def test_stages_are_those_of_the_images(batch_size, attngan):
    told = Conditioned().run(attngan, "a red bird\nwings blue")["result"][0]
    shown = Stages().run(told, 3, 5, "dark", batch_size)
    stages, maps, overview, report = shown["result"]
    images, _ = sample(told, count=3, seed=5)
    torch.testing.assert_close(stages[1::2], images, rtol=0, atol=1e-5)
    assert (stages.shape, maps.shape) == ((6, 128, 128, 3), (7, 128, 128))
    assert overview.shape[0] == 1
    assert shown["ui"]["text"] == [report]
    assert "map 3: wings, 64 px" in report and "'blue' is not known" in report
