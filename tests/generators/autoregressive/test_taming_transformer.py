"""taming-transformers' Net2NetTransformer: against its reference, and what its files do not tell."""

import json

import pytest
import torch
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files import checkpoints
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import loading
from trilemma.models.generators.autoregressive import taming_transformer as taming
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.random_weights import write
from trilemma.models.weights import empty_weights, fill, under
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close, is_close

pytestmark = pytest.mark.slow

PUBLISHED = {
    "cin_imagenet_classcond": {"layers": 48, "heads": 24, "codes": 16384, "places": 256, "classes": 1000},
    "faceshq": {"layers": 24, "heads": 16, "codes": 1024, "places": 512, "classes": 0},
    "drin": {"layers": 24, "heads": 16, "codes": 1024, "places": 512, "classes": 0},
}


@torch.no_grad()
def test_parity():
    """Also with one token after the other."""
    row = reference_kit.case("taming_gpt")
    tensors = {taming.TRANSFORMER + key: value for key, value in reference_kit.weights(row).items()}
    prior = taming.build(tensors, {"n_head": 8, "num_classes": 0}, (10, 10), "x")
    fill(prior, under(tensors, taming.TRANSFORMER), "x")
    tokens = torch.from_numpy(reference_kit.inputs(row)["idx"])
    state, steps = prior.begin(tokens[:, 0]), []
    for place in range(4):
        steps.append(prior.next_logits(state, tokens[:, 1:], place)[:, None])
    logits = prior.from_tokens(tokens)
    reference_kit.compare(row, {"logits": logits, "step0_logits": steps[0], "step3_logits_with_past": steps[3]})


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_tensor_of_a_published_file_is_known(name):
    entries = reference_kit.manifest("taming_gpt", f"manifest_{name}.json")
    own = {
        entry.name: torch.empty(entry.shape, device="meta") for entry in entries if not entry.name.endswith(taming.MASK)
    }
    with empty_weights():
        prior = taming.build(own, {}, (16, 16), "x")
    shapes = {key: value.shape for key, value in under(own, taming.TRANSFORMER).items()}
    assert {key: value.shape for key, value in prior.state_dict().items()} == shapes
    found = {
        "layers": len(prior.blocks),
        "heads": prior.blocks[0].attn.heads,
        "codes": prior.code.num_embeddings,
        "places": prior.pos_emb.shape[1],
        "classes": prior.num_classes,
    }
    assert found == PUBLISHED[name]


def altered(folder, told=None, drop=(), **more):
    """The small file with other tensors, as training saves it, and with a config.json of what it tells."""
    tensors = checkpoints.read(taming.tiny(folder)).tensors
    (folder / "tiny.safetensors").unlink()
    tensors = {name: value for name, value in (tensors | more).items() if name not in drop}
    torch.save({"state_dict": tensors, "epoch": 3}, folder / "last.ckpt")
    (folder / "config.json").unlink()
    if told is not None:
        (folder / "config.json").write_text(json.dumps(told))
    return folder / "last.ckpt"


def test_a_file_alone_is_refused_with_the_question(tmp_path):
    with pytest.raises(BadCheckpoint, match=r"do not tell n_head and num_classes .* config\.json"):
        loading.load_generator(altered(tmp_path))


def test_classes_change_the_picture(tmp_path):
    told = {"n_head": 2, "num_classes": 3, "sample_size": 8}
    bound = Bound(loading.load_generator(altered(tmp_path, told)))
    pictures = [
        torch.cat([batch.images for batch in sample(bound.with_conditions([Condition(name)]), 2, 5, 2)])
        for name in ("0", "1", "1")
    ]
    assert pictures[0].shape == (2, 8, 8, 3)
    assert_close(pictures[1], pictures[2])
    assert not is_close(pictures[0], pictures[1])


def test_without_classes_the_first_token_is_code_0(tmp_path):
    told = {"n_head": 2, "num_classes": 0, "sample_size": 8}
    generator = loading.load_generator(altered(tmp_path, told))
    assert generator.descriptor.conditions == ("none",)
    bound = Bound(generator).with_options("autoregressive", {"top_k": 1})
    (batch,) = sample(bound, 1, 0, 1)
    prior = generator.modules[1]
    tokens = torch.zeros(1, 1, dtype=torch.int64)
    for _ in range(16):
        tokens = torch.cat([tokens, prior.from_tokens(tokens)[:, -1].argmax(dim=1, keepdim=True)], dim=1)
    codes = generator.modules[0].codes(generator.modules[0].vectors(tokens[:, 1:].reshape(1, 4, 4)))
    expected = generator.modules[0].pictures(generator.modules[0].vectors(codes)).clamp(0, 1)
    assert (batch.images - expected.permute(0, 2, 3, 1)).abs().max() < 1e-5


def test_what_encodes_in_another_way_is_refused(tmp_path):
    path = altered(
        tmp_path, {"n_head": 2, "num_classes": 0}, **{"cond_stage_model.encoder.conv_in.weight": torch.ones(1)}
    )
    with pytest.raises(BadCheckpoint, match=r"another network than a VQGAN \(cond_stage_model\.encoder\.conv_in"):
        loading.load_generator(path)


def test_halves_that_do_not_belong_together_are_refused(tmp_path):
    tensors = {f"transformer.{name}": torch.zeros(17, 8) for name in ("tok_emb.weight", "head.weight")}
    with pytest.raises(BadCheckpoint, match="do not belong together"):
        loading.load_generator(altered(tmp_path, {"n_head": 2, "num_classes": 0, "sample_size": 8}, **tensors))


def test_what_is_missing_is_named(tmp_path):
    tensors = checkpoints.read(taming.tiny(tmp_path)).tensors
    del tensors["transformer.blocks.1.ln2.bias"]
    path = write(tmp_path / "other.safetensors", tensors)
    with pytest.raises(BadCheckpoint, match=r"transformer\.blocks\.1\.ln2\.bias"):
        loading.load_generator(path)


def test_it_is_told_from_its_halves(tmp_path):
    tensors = checkpoints.read(taming.tiny(tmp_path)).tensors
    assert taming.detect(Checkpoint(tensors, {}))
    for prefix in (taming.TRANSFORMER, "first_stage_model."):
        assert not taming.detect(Checkpoint({k: v for k, v in tensors.items() if not k.startswith(prefix)}, {}))
