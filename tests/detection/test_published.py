"""The published layout against its manifests, and the whole network against the reference implementation."""

import json
import re

import pytest
import torch
from trilemma.models.detection import grounding_dino_names
from trilemma.models.detection import grounding_dino_published as published
from trilemma.models.detection.grounding_dino_names import relative_position_index
from trilemma.models.detection.loading import load_detector
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close
from trilemma.tests.detection import tiny

pytestmark = pytest.mark.slow

EXTRAS = {"label_enc.weight": (2001, 256), "bert.embeddings.position_ids": (1, 512)}
"""In the published files but not in the manifests, which list what the reference implementation loads."""


def layout(entries) -> dict[str, torch.Tensor]:
    """Zeros of every shape that take one element on disk."""
    return {e.name: torch.zeros((), dtype=torch.float32).expand(e.shape) for e in entries}


def test_names_and_shapes_are_those_that_transformers_saves():
    converted = published.convert(layout(reference_kit.manifest("groundingdino")))
    saved = reference_kit.manifest("groundingdino", "manifest_hf_saved_transformers_4.40.2.json")
    # The box heads of all decoder layers are one and the same, which transformers saves once.
    head = re.compile(r"(model\.decoder\.)?bbox_embed\.\d+\.")
    shapes = {head.sub("bbox_embed.0.", name): tuple(tensor.shape) for name, tensor in converted.items()}
    assert shapes == {entry.name: entry.shape for entry in saved}


def test_fused_projections_are_split_in_order():
    fused = torch.arange(12.0).reshape(6, 2)
    split = published.convert({"transformer.decoder.layers.3.ca_text.in_proj_weight": fused})
    stem = "model.decoder.layers.3.encoder_attn_text"
    assert list(split) == [f"{stem}.query.weight", f"{stem}.key.weight", f"{stem}.value.weight"]
    assert torch.equal(torch.cat(list(split.values())), fused)


@pytest.mark.parametrize(
    ("manifest", "swin"),
    [
        ("manifest.json", {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "window_size": 7}),
        (
            "manifest_swinb.json",
            {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32], "window_size": 12},
        ),
    ],
)
def test_configuration_is_read_from_shapes(manifest, swin):
    expected = json.loads(
        (reference_kit.KIT / "groundingdino" / "hf_config_swint_transformers_4.40.2.json").read_text()
    )
    config = published.config(layout(reference_kit.manifest("groundingdino", manifest)))
    backbone, text = config.pop("backbone_config"), config.pop("text_config")
    assert config == {key: expected[key] for key in config}
    assert swin.items() <= backbone.items()
    assert (text["num_hidden_layers"], text["num_attention_heads"], text["vocab_size"]) == (12, 12, 30522)


def test_swin_b_loads_with_every_tensor_in_place(tmp_path):
    tensors = layout(reference_kit.manifest("groundingdino", "manifest_swinb.json"))
    tensors |= {name: torch.zeros(()).expand(shape) for name, shape in EXTRAS.items()}
    path = tmp_path / "groundingdino_swinb_cogcoor.pth"
    torch.save({"model": {f"module.{name}": tensor for name, tensor in tensors.items()}}, path)
    detector = load_detector(path)
    assert sum(weight.numel() for weight in detector.network.parameters()) > 230e6


def test_transformers_folder_loads_with_every_tensor_in_place(tmp_path):
    kit = reference_kit.KIT / "groundingdino"
    (tmp_path / "config.json").write_text((kit / "hf_config_swint_transformers_4.40.2.json").read_text())
    saved = reference_kit.manifest("groundingdino", "manifest_hf_saved_transformers_4.40.2.json")
    torch.save(layout(saved), tmp_path / "pytorch_model.bin")
    detector = load_detector(tmp_path)
    assert sum(weight.numel() for weight in detector.network.parameters()) > 170e6


def test_published_file_answers_as_the_reference_does(tmp_path):
    case = reference_kit.case("groundingdino")
    weights = reference_kit.weights(case)
    for name, shape, _ in reference_kit.manifest("groundingdino"):
        if name.endswith("relative_position_index"):
            weights[name] = relative_position_index(round(shape[0] ** 0.5))
    weights |= {name: torch.zeros(()).expand(shape) for name, shape in EXTRAS.items()}
    path = tmp_path / "groundingdino_swint_ogc.pth"
    torch.save({"model": {f"module.{name}": tensor for name, tensor in weights.items()}}, path)
    del weights
    detector = load_detector(path)
    given = reference_kit.inputs(case)
    with torch.no_grad():
        answer = detector.network(
            pixel_values=torch.from_numpy(given["image"]), input_ids=torch.from_numpy(given["input_ids"])
        )
    expected = reference_kit.golden(case)
    kept = undoubted_ranks(answer.enc_outputs_class[0].amax(dim=-1))
    assert len(kept) > 800
    assert answer.logits.shape[-1] == int(given["pred_logits_width"])
    logits = answer.logits[..., : int(given["n_tokens"])]
    # Attention to queries that changed places moves the others' logits, by up to 3e-5 of the largest.
    assert_close(logits[:, kept], expected["pred_logits_first_ntok"][:, kept], 1e-4)
    assert_close(answer.logits.amax(dim=-1)[:, kept], expected["max_logit_per_query"][:, kept], 1e-4)
    assert_close(answer.pred_boxes[:, kept], expected["pred_boxes"][:, kept])


def undoubted_ranks(scores: torch.Tensor, apart: float = 2e-4) -> torch.Tensor:
    """Queries of which it is sure by which place of the picture they begin. They begin at the best places in order of
    score, each with a content of its rank: where two scores are nearer than what another order of summation changes
    (2e-5 here, of 40), both queries may begin at each other's place and answer for it."""
    gaps = -scores.topk(901).values.diff()
    before = torch.cat([torch.full((1,), torch.inf), gaps[:-1]])
    return torch.minimum(before, gaps).gt(apart).nonzero()[:, 0]


@pytest.mark.parametrize("manifest", ["manifest.json", "manifest_swinb.json"])
def test_names_are_those_of_the_published_files(manifest):
    tensors = layout(reference_kit.manifest("groundingdino", manifest))
    assert grounding_dino_names.names(published.config(tensors)) == tensors.keys() - published.EXTRAS


def test_a_published_file_and_a_folder_of_one_network_have_one_identity(tmp_path):
    torch.save({"model": tiny.published_tensors()}, tmp_path / "published.pth")
    identities = {
        load_detector(path).identity for path in (tmp_path / "published.pth", tiny.write_folder(tmp_path / "folder"))
    }
    assert len(identities) == 1
