"""minDALL-E: its transformer against the reference, its prompts, and the files that belong together."""

import shutil

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadCheckpoint, CannotDo, MissingFile
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import loading
from trilemma.models.generators.autoregressive import mindalle
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.weights import fill
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def prior():
    row = reference_kit.case("mindalle", "golden_small")
    made = mindalle.build(weights := reference_kit.weights(row), {"n_head": 4}, "small")
    fill(made, weights, "small")
    return made


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return mindalle.tiny(tmp_path_factory.mktemp("mindalle"))


def given():
    inputs = reference_kit.inputs(reference_kit.case("mindalle", "golden_small"))
    return (torch.from_numpy(inputs[name]) for name in ("images", "texts"))


@torch.no_grad()
def test_parity(prior):
    images, texts = given()
    answers = {"logits0": prior(images, texts), "logits1": prior.text_logits(images, texts)}
    reference_kit.compare(reference_kit.case("mindalle", "golden_small"), answers)


@torch.no_grad()
def test_one_by_one_as_all_at_once(prior):
    images, texts = given()
    expected = prior(images, texts)
    state = prior.begin(texts)
    found = [prior.next_logits(state, images, place) for place in range(prior.places)]
    assert_close(torch.stack(found, dim=1), expected, 1e-4)


def test_every_tensor_of_the_published_file_is_known():
    entries = reference_kit.manifest("mindalle")
    tensors = {entry.name: torch.empty(entry.shape, device="meta") for entry in entries}
    assert mindalle.detect(Checkpoint(tensors, {}))
    built = mindalle.build(tensors, {}, "stage2_last.ckpt")
    assert {name: value.shape for name, value in built.state_dict().items()} == {
        name: value.shape for name, value in tensors.items()
    }
    assert built.blocks[0].attn.heads == 24 and built.grid == (16, 16)


def test_prompts_decide_and_are_padded(path):
    generator = loading.load_generator(path)
    bound = Bound(generator)
    words = generator._words
    cats, dogs, none = (
        next(iter(sample(bound.with_conditions([Condition(text)]), 2, 0, 2))).images for text in ("Cat", "dog", "")
    )
    assert not torch.equal(cats, dogs) and not torch.equal(cats, none)
    # Small and large letters are one.
    assert words.encode("Cat").ids == words.encode("cat").ids
    assert generator.descriptor.conditions == ("none", "prompt")
    assert "first 6 of 12" in generator.remark(Condition("a b c d e f g h i j k l"))
    assert "not known" in generator.remark(Condition("a 3"))
    assert generator.remark(Condition("a b")) == ""
    with pytest.raises(CannotDo, match="negative_prompt"):
        bound.with_conditions([Condition("a", "b")])


@pytest.mark.parametrize("lost", ["tiny_stage1.safetensors", "tokenizer/bpe-16k-merges.txt"])
def test_what_is_missing_is_named(path, tmp_path, lost):
    copied = shutil.copytree(path.parent, tmp_path / "copy")
    (copied / lost).unlink()
    with pytest.raises(MissingFile, match=lost) as raised:
        loading.load_generator(copied / path.name)
    assert "1.3B.tar.gz" in str(raised.value) and str(copied) in str(raised.value)


def test_parts_that_do_not_belong_together_are_refused(path, tmp_path):
    copied = shutil.copytree(path.parent, tmp_path / "copy")
    vocabulary = copied / "tokenizer" / mindalle.VOCABULARY
    vocabulary.write_text(vocabulary.read_text().replace("}", ', "more": 54}'))
    with pytest.raises(BadCheckpoint, match="55 pieces of words, and the network embeds 54"):
        loading.load_generator(copied / path.name)
    vocabulary.write_text("{}")
    with pytest.raises(BadCheckpoint, match=r"tokenizer can be read|for what it does not know"):
        loading.load_generator(copied / path.name)


def test_the_number_of_heads_is_asked(path, tmp_path):
    copied = shutil.copytree(path.parent, tmp_path / "copy")
    (copied / "config.json").write_text('{"sample_size": 8}')
    with pytest.raises(BadCheckpoint, match="n_head"):
        loading.load_generator(copied / path.name)


def test_half_precision_is_that_of_the_transformer(path):
    generator = loading.load_generator(path, lambda parameters: torch.bfloat16)
    images = next(iter(sample(Bound(generator), 1, 0, 1))).images
    assert images.dtype == torch.float32 and np.isfinite(images).all()
