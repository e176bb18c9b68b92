"""Image GPT: against its reference, in every published layout."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.errors import BadCheckpoint, MissingFile
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import completion, loading
from trilemma.models.generators.autoregressive import image_gpt
from trilemma.models.generators.binding import Bound
from trilemma.models.weights import empty_weights
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

ROW = ("igpt", "golden_small")


@pytest.fixture
def published(tmp_path):
    """A folder with the kit's weights and colours, which early files' masks lie beside."""
    row = reference_kit.case(*ROW)
    inputs = reference_kit.inputs(row)
    tensors = reference_kit.weights(row)
    tensors["transformer.h.0.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
    tensors["transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "imagegpt", "n_head": 4}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"clusters": inputs["clusters"].tolist()}))
    return tmp_path


@torch.no_grad()
def test_parity(published):
    """Of the transformer, also one pixel after the other, and of colours."""
    row = reference_kit.case(*ROW)
    generator = loading.load_generator(published)
    coder, prior = generator.modules
    inputs = {
        key: torch.from_numpy(np.asarray(value))
        for key, value in reference_kit.inputs(row).items()
        if key != "image_recipe"
    }
    tokens = torch.cat([torch.full((2, 1), 512), inputs["ids"]], dim=1)
    hidden = prior.hidden(tokens)
    logits = prior.from_tokens(tokens)
    answers = {"logits": logits, "hidden1": hidden[1], "hidden_last": hidden[-1]}
    reference_kit.compare(row, answers)
    state = prior.begin(torch.zeros(2, dtype=torch.int64))
    for place in range(8):
        assert_close(prior.next_logits(state, inputs["ids"], place), logits[:, place])
    with np.load(reference_kit.KIT / row["golden_dev"]) as golden:
        greedy = torch.from_numpy(golden["out.greedy_from_5.sub"]).reshape(tuple(golden["out.greedy_from_5.shape"]))
        stored = {
            name: torch.from_numpy(golden[f"out.{name}.sub"]).reshape(tuple(golden[f"out.{name}.shape"]))
            for name in ("pixels", "image_ids", "image_from_ids")
        }
    known = tokens[:, : greedy.shape[1] - 12]
    for _ in range(12):
        known = torch.cat([known, prior.from_tokens(known)[:, -1].argmax(dim=1, keepdim=True)], dim=1)
    assert torch.equal(known, greedy)
    codes = coder.codes(stored["pixels"])
    assert torch.equal(codes.flatten(), stored["image_ids"].flatten())
    shown = (255 * generator.decode(generator._vectors(codes), (), {})).round()[0]
    assert torch.equal(shown, stored["image_from_ids"].float())


@pytest.mark.parametrize(("name", "layers", "width"), [("small", 24, 512), ("medium", 36, 1024), ("large", 48, 1536)])
def test_every_tensor_of_a_published_file_is_known(name, layers, width):
    entries = reference_kit.manifest("igpt", f"manifest_openai_{name}.json")
    tensors = {entry.name: torch.empty(entry.shape, device="meta") for entry in entries}
    assert image_gpt.detect(Checkpoint(tensors, {}))
    with empty_weights():
        prior = image_gpt.PixelGpt(512, 32, width, layers, 8)
    assert {key: value.shape for key, value in prior.state_dict().items()} == {k: v.shape for k, v in tensors.items()}


def test_gpt2_is_none():
    tensors = dict.fromkeys([*image_gpt.SIGNS, image_gpt.CENTRED], torch.empty(2, 2))
    assert not image_gpt.detect(Checkpoint(tensors, {}))


def test_halves_are_gone_on_with(tmp_path):
    generator = loading.load_generator(image_gpt.tiny(tmp_path))
    colours = generator.modules[0].colours
    images = ((colours[torch.arange(16).reshape(1, 4, 4)] + 1) / 2).contiguous()
    whole = completion.complete(Bound(generator), images, 0.5, 3, 1, 2)
    assert whole.shape == (3, 4, 4, 3)
    assert_close(whole[:, :2], images[:, :2].expand(3, -1, -1, -1))
    near = (2 * whole.reshape(-1, 1, 3) - 1 - colours).abs().amax(dim=2).amin(dim=1)
    assert near.max() < 1e-6


def test_openais_colours_are_read_too(tmp_path):
    path = image_gpt.tiny(tmp_path)
    named = loading.load_generator(path)
    np.save(tmp_path / "kmeans_centers.npy", named.modules[0].colours.numpy())
    (tmp_path / "preprocessor_config.json").unlink()
    assert loading.load_generator(path).identity == named.identity
    (tmp_path / "kmeans_centers.npy").unlink()
    with pytest.raises(MissingFile, match=r"colours are missing; put preprocessor_config\.json"):
        loading.load_generator(path)


@pytest.mark.parametrize("clusters", [None, [[0, 0, 0]], [[0, 0]] * 16, "red", [[float("inf")] * 3] * 16])
def test_colours_that_do_not_fit_are_refused(clusters, tmp_path):
    path = image_gpt.tiny(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"clusters": clusters}))
    with pytest.raises(BadCheckpoint, match=r"preprocessor_config\.json"):
        loading.load_generator(path)


@pytest.mark.parametrize("heads", [None, 3, "two"])
def test_heads_are_asked(heads, tmp_path):
    path = image_gpt.tiny(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"n_head": heads}))
    with pytest.raises(BadCheckpoint, match="n_head"):
        loading.load_generator(path)
