"""Generators that draw by text: what lies beside them, sentences, samples, stages and maps."""

import pickle

import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo, MissingFile
from trilemma.models.generators import binding, loading, looking, noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.gan.text_to_image import families, stackgan, words
from trilemma.models.generators.records import records_of, remarks
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.files import python2
from trilemma.tests.generators.gan import gans

pytestmark = pytest.mark.slow

FAMILIES = {family.name: family for family in families.FAMILIES}
NAMES = list(FAMILIES)
RED, WHITE = Condition("a red bird"), Condition("a bird with white wings")


@pytest.fixture(params=NAMES)
def generator(request, tmp_path):
    return loading.load_generator(FAMILIES[request.param].tiny(tmp_path))


@pytest.fixture
def attngan(tmp_path):
    return loading.load_generator(FAMILIES["AttnGAN"].tiny(tmp_path))


def test_samples_do_not_depend_on_the_batch(generator):
    """Captions of unlike lengths are side by side in a batch."""
    gans.check_batches(generator)
    gans.check_identity(generator)


def test_a_picture_shows_its_sentence_and_seed(generator):
    both = next(binding.sample(Bound(generator, {}, (RED, WHITE)), 4, 3, 4)).images
    alone = [
        next(binding.sample(Bound(generator, {}, (each,)), 1, 3 + index, 1)).images[0]
        for index, each in enumerate((RED, WHITE, RED, WHITE))
    ]
    for one, other in zip(both, alone, strict=True):
        assert_close(one, other)
    changed = next(binding.sample(Bound(generator, {}, (WHITE,)), 1, 3, 1)).images[0]
    assert not is_close(changed, both[0])


def test_a_sentence_leaves_the_noise_as_it_is(generator):
    settings = Bound(generator).settings
    found = [
        generator.latents(noise.requests(3, 5, [condition]), settings).values for condition in (Condition(), RED, WHITE)
    ]
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_without_a_sentence_captions_of_the_test_set_are_drawn(attngan):
    found = attngan.looks(noise.requests(20, 0, [Condition()]), {})
    known = {" ".join(families.TINY_WORDS[number - 1] for number in caption) for caption in families.TINY_CAPTIONS}
    assert {look.title for look in found} == known


def test_words_that_it_does_not_know_are_named(attngan):
    bound = Bound(attngan).with_conditions([Condition("a crimson bird"), RED])
    said = "'crimson' is not known, nearest are "
    assert remarks(bound).startswith(said) and "\n" not in remarks(bound)
    records = records_of(bound, noise.requests(2, 0, bound.conditions))
    assert records[0]["remark"].startswith(said)
    assert "remark" not in records[1]
    with pytest.raises(BadInput, match=r"knows no word of 'zebras'; 'zebras' is not known, nearest are .* 7 words"):
        Bound(attngan).with_conditions([Condition("zebras")])
    with pytest.raises(CannotDo, match="negative_prompt: AttnGAN takes none"):
        Bound(attngan).with_conditions([Condition("a bird", "red")])


def test_without_captions_a_sentence_is_needed(tmp_path):
    path = FAMILIES["DF-GAN"].tiny(tmp_path)
    words.write(tmp_path / "captions.pickle", families.TINY_WORDS, [])
    generator = loading.load_generator(path)
    assert generator.descriptor.conditions == ("prompt",)
    with pytest.raises(BadInput, match="connect a Condition"):
        next(binding.sample(Bound(generator), 1, 0, 1))
    next(binding.sample(Bound(generator, {}, (RED,)), 1, 0, 1))


def test_df_gan_truncates_z_as_its_script(tmp_path):
    generator = loading.load_generator(FAMILIES["DF-GAN"].tiny(tmp_path))
    requests = noise.requests(50, 0, [RED])
    bound = Bound(generator).with_options("gan", {"truncation_psi": 0.88})
    cut = generator.latents(requests, bound.settings).values
    assert 1 < cut.abs().max() <= 2 * 0.88
    assert generator.latents(requests, Bound(generator).settings).values.abs().max() > 2
    other = loading.load_generator(FAMILIES["SSA-GAN"].tiny(tmp_path))
    with pytest.raises(CannotDo, match="has no such option"):
        Bound(other).with_options("gan", {"truncation_psi": 0.88})


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_beside_it_is_named(name, tmp_path):
    path = FAMILIES[name].tiny(tmp_path)
    (tmp_path / "captions.pickle").unlink()
    with pytest.raises(MissingFile) as raised:
        loading.load_generator(path)
    said = str(raised.value)
    assert "text_encoder200.pth" not in said
    assert "captions.pickle, or captions_DAMSM.pickle" in said and "taoxugit/AttnGAN" in said and str(tmp_path) in said
    (tmp_path / "text_encoder.safetensors").unlink()
    with pytest.raises(MissingFile, match=r"text_encoder200\.pth for birds \(8 MB\).*captions\.pickle"):
        loading.load_generator(path)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    path = FAMILIES["AttnGAN"].tiny(tmp_path)
    words.write(tmp_path / "captions.pickle", ("bird",), [(1,)])
    with pytest.raises(BadCheckpoint, match=r"makes 8 of 7 words, and captions\.pickle numbers 2"):
        loading.load_generator(path)
    words.write(tmp_path / "captions_2.pickle", families.TINY_WORDS, [(1,)])
    with pytest.raises(BadCheckpoint, match=r"captions\.pickle, captions_2\.pickle\); give each model a folder"):
        loading.load_generator(path)


def test_df_gan_is_found_in_its_training_state(tmp_path):
    """`state_epoch_*.pth`: the generator beside critics and optimizers, with DataParallel's prefix."""
    alone = loading.load_generator(FAMILIES["DF-GAN"].tiny(tmp_path))
    state = {f"module.{name}": value for name, value in alone.network.state_dict().items()}
    critic = {"conv_img.weight": torch.randn(4, 3, 3, 3), "DBlocks.0.gamma": torch.zeros(1)}
    joint = {"joint_conv.0.weight": torch.randn(4, 8, 3, 3), "joint_conv.2.weight": torch.randn(1, 4, 4, 4)}
    content = {
        "model": {"netG": state, "netD": critic, "netC": joint},
        "optimizers": {"optimizer_G": {"state": {}, "param_groups": [{"lr": 1e-4, "params": [0]}]}},
        "epoch": 1220,
    }
    torch.save(content, tmp_path / "state_epoch_1220.pth")
    whole = loading.load_generator(tmp_path / "state_epoch_1220.pth")
    assert whole.identity == alone.identity
    assert "took model.netG" in whole.notes[0]


def test_stages_and_maps_are_those_of_the_samples(generator):
    bound = Bound(generator, {}, (RED, WHITE))
    found = looking.looks(bound, 3, 7, 2)
    (batch,) = binding.sample(bound, 3, 7, 3)
    for look, image in zip(found, batch.images, strict=True):
        assert_close(look.pictures[-1], image)
    assert [look.title for look in found] == [RED.text, WHITE.text, RED.text]
    side, stages = generator.descriptor.height, len(generator.network.sides)
    assert looking.stages(found).shape == (3 * stages, side, side, 3)
    maps = looking.maps(found)
    assert maps.shape[1:] == (side, side)
    attending = generator.network.attends
    expected = 11 * attending or (0 if generator.descriptor.architecture == "DF-GAN" else 3 * 2)
    assert len(maps) == expected and (not expected or 0 <= maps.min() <= maps.max() <= 1)
    overview = looking.overview(found, "light")
    assert overview.shape[0] == 1 and overview.shape[3] == 3
    text = looking.report(bound, found)
    assert (
        text.splitlines()[0]
        == f"image 0: a red bird; stages {', '.join(f'{s} x {s}' for s in generator.network.sides)}"
    )
    assert text.count("  map ") == expected


def test_maps_are_named_by_words(attngan):
    bound = Bound(attngan, {}, (Condition("bird with a bird"),))
    (look,) = looking.looks(bound, 1, 0, 1)
    assert [each.label for each in look.maps] == ["bird, 64 px", "with, 64 px", "a, 64 px", "bird, 64 px"]
    assert len(looking._words(look)) == 4
    assert_close(sum(each.values for each in look.maps), torch.ones(64, 64))


def test_stackgan_draws_of_the_embeddings_of_pictures(tmp_path):
    path = stackgan.tiny(tmp_path)
    generator = loading.load_generator(path)
    for file in tmp_path.glob("*.pickle"):
        # As Python 2 wrote the published ones.
        file.write_bytes(python2.dumps(pickle.loads(file.read_bytes())))
    again = loading.load_generator(path)
    for one, other in zip(again.embeddings, generator.embeddings, strict=True):
        assert torch.equal(one, other)
    assert again.descriptor == generator.descriptor
    assert generator.descriptor.class_names == ("001.Auk/1", "002.Bunting/2", "003.Crow/3")
    gans.check_batches(generator)
    by_name, by_number = (Bound(generator).with_conditions([Condition(text)]) for text in ("002.bunting/2", "1"))
    first, second = (next(binding.sample(each, 6, 0, 6)).images for each in (by_name, by_number))
    assert torch.equal(first, second)
    titles = {look.title for look in looking.looks(by_name, 12, 0, 12)}
    assert titles == {"002.Bunting/2, sentence 0", "002.Bunting/2, sentence 1"}
    (tmp_path / "filenames.pickle").unlink()
    generator = loading.load_generator(path)
    assert (generator.descriptor.class_names, generator.descriptor.num_classes) == ((), 3)
    (tmp_path / "filenames.pickle").write_bytes(pickle.dumps(["one"]))
    with pytest.raises(BadCheckpoint, match="names of the 3 pictures"):
        loading.load_generator(path)
    (tmp_path / "filenames.pickle").unlink()
    file = tmp_path / "char-CNN-RNN-embeddings.pickle"
    file.write_bytes(pickle.dumps(list(torch.rand(3, 2, 7).numpy()), 2))
    with pytest.raises(BadCheckpoint, match="embeddings of 8 numbers"):
        loading.load_generator(path)
    file.unlink()
    with pytest.raises(MissingFile, match=r"char-CNN-RNN-embeddings\.pickle of the folder test"):
        loading.load_generator(path)


def test_models_that_draw_at_once_have_no_stages(tmp_path):
    other = next(family for family in loading.GENERATORS.families if family.name == "DCGAN")
    generator = loading.load_generator(other.tiny(tmp_path))
    with pytest.raises(CannotDo, match="DCGAN cannot show stages"):
        looking.looks(Bound(generator), 1, 0, 1)
