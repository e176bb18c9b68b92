"""DINOv2 against Meta's own code at 224 pixels and against transformers' live; its files, and the protocols it serves.

The kit's goldens are of facebookresearch/dinov2 b8931f7 behind dgm-eval's transform (torchvision).
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.models.scoring.evaluation import Settings, score
from trilemma.models.scoring.extractors.dinov2 import DINOV2, DINOv2Extractor
from trilemma.models.scoring.extractors.dinov2_network import DINOv2, Sizes
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.scoring.features.extraction import Named, accumulate
from trilemma.models.scoring.protocols import PROTOCOLS, check_plan, check_sets
from trilemma.models.segmentation.loading import SEGMENTERS
from trilemma.models.weights import undrawn_weights
from trilemma.tests import reference_kit
from trilemma.tests.families import checks
from trilemma.tests.families.kinds import EXTRACTOR
from trilemma.tests.scoring.test_protocols import features as features_of

pytestmark = pytest.mark.slow

IMAGES = {"224x224": (224, 224, (50, 51)), "301x417": (301, 417, (52,))}
TOLERANCE = 1e-5


def images(size):
    height, width, seeds = IMAGES[size]
    return torch.from_numpy(np.stack([reference_kit.block_image(seed, height, width) for seed in seeds]))


def class_tokens(extractor, pictures):
    with torch.no_grad():
        return extractor.extract(extractor.prepare(pictures), (extractor.main,)).taps[0]


def drawn(sizes, seed=0):
    with undrawn_weights():
        network = DINOv2(sizes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.parameters():
            # As a trained network's: norms of about one, positions that count.
            if value.ndim == 1:
                value.copy_(1 + 0.1 * torch.randn(value.shape, generator=generator))
            else:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.5 * value.shape[-1] ** -0.5)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("case", ["golden", "golden_reg4", "golden_swiglu"])
def test_class_tokens_are_metas_behind_dgm_evals_transform(case, tmp_path):
    row = reference_kit.case("dinov2", case)
    torch.save(reference_kit.weights(row), tmp_path / "dinov2_vits14_pretrain.pth")
    extractor = EXTRACTORS.load(tmp_path / "dinov2_vits14_pretrain.pth").with_resize("Pillow")
    found = {f"{size}.class": class_tokens(extractor, images(size)) for size in IMAGES}
    reference_kit.compare(row, found, TOLERANCE, TOLERANCE)


def transformers_model(config, **changes):
    from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    sizes = {"hidden_size": 128, "num_attention_heads": 2, "num_hidden_layers": 2, "image_size": 518, **changes}
    kinds = {"plain": (Dinov2Config, Dinov2Model), "registers": (Dinov2WithRegistersConfig, Dinov2WithRegistersModel)}
    configuration, model = kinds[config]
    torch.manual_seed(0)
    made = model(configuration(**sizes)).eval()
    with torch.no_grad():
        for name, value in made.named_parameters():
            value.normal_(std=0.5 * value.shape[-1] ** -0.5 if value.ndim > 1 else 0.5)
            if name.endswith("lambda1"):
                value.fill_(0.7)
    return made


def published(model, folder):
    """As facebook/dinov2-* are: config.json and model.safetensors."""
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("plain", {}),
        ("plain", {"use_swiglu_ffn": True}),
        ("registers", {}),
        ("plain", {"image_size": 224}),
    ],
)
def test_folders_of_transformers_are_read_as_it_reads_them(kind, changes, tmp_path):
    """With registers it resamples positions as Meta's code does; without, at the size of its positions alone."""
    model = transformers_model(kind, **changes)
    extractor = EXTRACTORS.load(published(model, tmp_path / "dinov2"))
    network = extractor.network
    side = 518 if (kind, changes.get("image_size", 518)) == ("plain", 518) else 224
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = model(pixels).pooler_output
        ours = network(pixels)
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert extractor.files == DINOV2.files(tmp_path / "dinov2")
    bare = tmp_path / "dinov2-large.safetensors"
    bare.write_bytes((tmp_path / "dinov2" / "model.safetensors").read_bytes())
    assert EXTRACTORS.load(bare).identity == extractor.identity


def test_without_registers_transformers_resamples_positions_otherwise(tmp_path):
    """By the size alone, where Meta's code, and so dgm-eval, takes a scale of 16.1 / 37."""
    model = transformers_model("plain")
    network = EXTRACTORS.load(published(model, tmp_path / "dinov2")).network
    theirs = model.embeddings.interpolate_pos_encoding(torch.zeros(1, 257, 128), 224, 224)
    ours = network.positions(16)
    assert theirs.shape == ours.shape
    assert torch.equal(theirs[:, 0], ours[:, 0])
    assert (theirs - ours).abs().max() > 0.1 * theirs.std()


def test_files_of_both_layouts_are_one_network(tmp_path):
    """Meta's has one tensor for query, key and value; a copy may lack what training alone takes."""
    network = drawn(Sizes(64, 1, 14, 37, 4, 256, False))
    torch.save(network.state_dict(), tmp_path / "a.pth")
    ours = EXTRACTORS.load(tmp_path / "a.pth")
    torch.save({**network.state_dict(), "mask_token": torch.zeros(1, 64)}, tmp_path / "b.pth")
    assert EXTRACTORS.load(tmp_path / "b.pth").identity == ours.identity
    torch.save({**network.state_dict(), "mask_token": torch.zeros(1, 65)}, tmp_path / "c.pth")
    with pytest.raises(BadCheckpoint, match=r"mask_token \(1, 65\) instead of \(1, 64\)"):
        EXTRACTORS.load(tmp_path / "c.pth")
    assert ours.name == "DINOv2 of 1 blocks, 64 features, patches of 14 and 1,369 positions with registers"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"num_attention_heads": 4}, "num_attention_heads 4, but the pack reads those with 2"),
        ({"hidden_act": "relu"}, "hidden_act 'relu', but the pack reads those with 'gelu'"),
        ({"layer_norm_eps": 1e-5}, "layer_norm_eps 1e-05"),
    ],
)
def test_configurations_of_other_networks_are_refused(changed, said, tmp_path):
    folder = published(transformers_model("plain"), tmp_path / "dinov2")
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**told, **changed}))
    with pytest.raises(BadCheckpoint, match=said):
        EXTRACTORS.load(folder)


def test_networks_that_cannot_look_at_224_pixels_are_refused(tmp_path):
    state = drawn(Sizes(64, 1, 15, 37, 0, 256, False)).state_dict()
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(BadCheckpoint, match=r"patches of 15 pixels and 1,370 positions; the pack reads"):
        EXTRACTORS.load(tmp_path / "a.pth")
    del state["blocks.0.attn.qkv.bias"]
    state["patch_embed.proj.weight"] = torch.zeros(64, 3, 14, 14)
    save_file(state, tmp_path / "b.safetensors")
    with pytest.raises(BadCheckpoint, match=r"1 missing \(blocks\.0\.attn\.qkv\.bias\)"):
        EXTRACTORS.load(tmp_path / "b.safetensors")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("metas", "holds a DINOv2 vision model in Meta's layout; it belongs into models/metrics, for Load Feature Ext"),
        ("transformers", "a DINOv2 vision model in transformers' layout; it .* models/clip_vision, for Load CLIP Vis"),
        ("folder", "is a folder of the model 'dinov2'; it belongs into models/metrics, for Load Feature Extractor, or"),
    ],
)
def test_other_loaders_say_where_it_belongs(kind, said, tmp_path):
    path = published(transformers_model("plain"), tmp_path / "dinov2")
    if kind != "folder":
        path = path / "model.safetensors"
    if kind == "metas":
        path = DINOV2.tiny(tmp_path)
    with pytest.raises(BadCheckpoint, match=said):
        SEGMENTERS.load(path)


@pytest.mark.parametrize("part", ["query", "value"])
def test_a_missing_part_of_transformers_attention_is_named(part, tmp_path):
    folder = published(transformers_model("plain"), tmp_path / "dinov2")
    from safetensors.torch import load_file

    name = f"encoder.layer.1.attention.attention.{part}.bias"
    state = load_file(folder / "model.safetensors")
    del state[name]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(BadCheckpoint, match=r"blocks\.1\.attn\.qkv\.bias"):
        EXTRACTORS.load(folder)


@pytest.mark.parametrize("gated", [False, True])
def test_memory_of_a_published_size_is_foreseen(gated):
    """ViT-S's width, four blocks."""
    sizes = Sizes(384, 4, 14, 37, 4 if gated else 0, 1024 if gated else 1536, gated)
    checks.memory_is_foreseen(EXTRACTOR, DINOv2Extractor(drawn(sizes)), "DINOv2", (1, 4))


@pytest.fixture(scope="module")
def large():
    """As wide and deep as ViT-L, but for the middle of its MLPs."""
    return DINOv2Extractor(drawn(Sizes(1024, 24, 14, 37, 0, 16, False))).with_resize("Pillow")


def test_scores_are_called_by_the_protocols_of_dinov2(large):
    """From pictures to FD-DINOv2 and KD-DINOv2."""
    assert large.name == "DINOv2 ViT-L/14"
    pictures = [torch.from_numpy(reference_kit.block_image(seed, 60, 80)) for seed in range(4)]
    sets = []
    for start, name in ((0, "ours"), (2, "real")):
        named = [Named(f"{name} {place}", place, pictures[start + place]) for place in range(2)]
        with torch.no_grad():
            sets.append(accumulate(large, named, (large.main,), name, 2))
    for protocol, metric in (("FD-DINOv2", "fid"), ("KD-DINOv2", "kid")):
        found = score(*sets, Settings(protocol=protocol, kid_subset_size=2))
        assert [each.metric for each in found.scores] == [metric]
        assert found.provenance["protocol"] == {
            "name": protocol,
            "identity": PROTOCOLS[protocol].identity,
            "source": "arXiv:2306.04675",
        }
        assert found.provenance["extractor"]["name"] == "DINOv2 ViT-L/14"


def test_dgm_evals_preset_is_reachable(large):
    protocol = PROTOCOLS["dgm-eval DINOv2 50k"]
    check_plan(protocol, large.source, 50_000, 10_000)
    check_sets(protocol, *(features_of(large.source, 50_000, seed, rows=10_000, size=4) for seed in (0, 1)))
    with pytest.raises(BadInput, match="reference set has 49,999 images, not 50,000"):
        check_sets(protocol, *(features_of(large.source, 50_000 - seed, seed, rows=10_000, size=4) for seed in (0, 1)))


@pytest.mark.parametrize(
    ("sizes", "resize", "said"),
    [
        (Sizes(64, 1, 14, 37, 0, 8, False), "Pillow", "model is DINOv2 of 1 blocks, 64 .* features is 64, not 1024"),
        (Sizes(768, 12, 14, 37, 0, 8, False), "Pillow", "not FD-DINOv2: features is 768, not 1024"),
        (Sizes(768, 12, 14, 37, 4, 8, False), "Pillow", "model is DINOv2 ViT-B/14 with registers, not DINOv2"),
        (Sizes(768, 12, 14, 16, 0, 8, False), "clean", "model is DINOv2 of 12 blocks.*resize is clean, not Pillow"),
    ],
)
def test_other_sizes_are_refused_under_their_names(sizes, resize, said):
    source = DINOv2Extractor(drawn(sizes)).with_resize(resize).source
    with pytest.raises(BadInput, match=said):
        check_plan(PROTOCOLS["FD-DINOv2"], source, 10, 10)
