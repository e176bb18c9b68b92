"""OWLv2 against transformers, live, with random weights: its own processor, network and post-processing."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models.detection import owlv2
from trilemma.models.detection.caption_folders import PREPROCESSOR
from trilemma.models.detection.loading import load_detector
from trilemma.models.detection.selection import select
from trilemma.models.diffusion.single_file import TOKENIZER
from trilemma.models.errors import BadCheckpoint, BadInput
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

PHRASES = ["a cat", "dog", "red car"]
SIDE = owlv2.TINY["vision_config"]["image_size"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As published: CLIP's vocabulary."""
    made = tmp_path_factory.mktemp("owlv2")
    owlv2.random_network(49408).save_pretrained(made)
    for name in ("vocab.json", "merges.txt"):
        (made / name).write_bytes((TOKENIZER / name).read_bytes())
    names = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "!"}
    told = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 16, **names}
    (made / "tokenizer_config.json").write_text(json.dumps(told))
    (made / PREPROCESSOR).write_text(json.dumps({"size": {"height": SIDE, "width": SIDE}}))
    return made


@pytest.fixture(scope="module")
def detector(folder):
    return load_detector(folder)


@pytest.fixture(scope="module")
def theirs(folder):
    from transformers import CLIPTokenizerFast, Owlv2ForObjectDetection, Owlv2ImageProcessor, Owlv2Processor

    processor = Owlv2Processor(Owlv2ImageProcessor.from_pretrained(folder), CLIPTokenizerFast.from_pretrained(folder))
    return processor, Owlv2ForObjectDetection.from_pretrained(folder).train(False)


def block(height: int, width: int) -> np.ndarray:
    return reference_kit.block_image(5, height, width)


def ours(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image)[None] / 255


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 64), (64, 20), (50, 100), (200, 150), (33, 17), (96, 96)])
def test_answers_are_transformers(detector, theirs, height, width):
    """Sizes at the network's own, beyond and below; the picture is padded, and shrunk or enlarged."""
    processor, network = theirs
    image = block(height, width)
    asked = processor(text=[PHRASES], images=image, return_tensors="pt", input_data_format="channels_last")
    output = network(**asked)
    process = processor.post_process_grounded_object_detection
    (expected,) = process(output, threshold=0.0, target_sizes=torch.tensor([(height, width)]))
    found = detector.detect(ours(image), ", ".join(PHRASES), 1)
    own = max(height, width) == SIDE
    # Releases 4 enlarge by SciPy, which mirrors at the edges.
    relative = 1e-1 if max(height, width) < SIDE and owlv2.padding() else 1e-5 if own else 1e-4
    centre, extent = found.boxes[0].split(2, dim=1)
    corners = torch.cat([centre - extent / 2, centre + extent / 2], dim=1) * torch.tensor([width, height] * 2)
    print("boxes", (corners - expected["boxes"]).abs().max().item(), "px of", max(height, width))
    assert_close(corners, expected["boxes"], relative)
    assert_close(found.token_probs, output.logits.sigmoid(), relative)
    scores, labels = found.token_probs[0].max(dim=1)
    assert_close(scores, expected["scores"], relative)
    assert (labels == expected["labels"]).double().mean() > (0.999 if relative < 1e-3 else 0.9)


def test_kept_boxes_are_transformers_clipped_to_the_picture(detector, theirs):
    processor, network = theirs
    height, width, threshold = 50, 64, 0.6
    image = block(height, width)
    asked = processor(text=[PHRASES], images=image, return_tensors="pt", input_data_format="channels_last")
    with torch.no_grad():
        output = network(**asked)
    process = processor.post_process_grounded_object_detection
    (theirs_kept,) = process(output, threshold=threshold, target_sizes=torch.tensor([(height, width)]))
    limits = torch.tensor([width, height] * 2)
    clipped = torch.minimum(theirs_kept["boxes"].clamp(min=0), limits)
    inside = (clipped[:, 2:] - clipped[:, :2]).prod(dim=1) > 0
    order = theirs_kept["scores"][inside].argsort(descending=True, stable=True)
    raw = detector.detect(ours(image), " . ".join(PHRASES), 1)
    kept = select(raw, box_threshold=threshold, text_threshold=0, nms_threshold=1).boxes[0]
    assert 2 < len(kept) == int(inside.sum()) < len(output.logits[0])
    mine = torch.tensor([[box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]] for box in kept])
    assert_close(mine, clipped[inside][order])
    assert_close(torch.tensor([box["score"] for box in kept]), theirs_kept["scores"][inside][order])
    assert [box["label"] for box in kept] == [PHRASES[i] for i in theirs_kept["labels"][inside][order]]


def test_a_phrase_does_not_depend_on_its_company(detector):
    image = ours(block(50, 100))
    together, alone = detector.detect(image, "a cat, dog, red car", 1), detector.detect(image, "red car", 1)
    assert_close(together.token_probs[..., 2:], alone.token_probs)


def test_pads_with_what_transformers_pads_with(theirs):
    import transformers

    assert owlv2.padding() == (0.5 if transformers.__version__ < "5" else 0.0)


def test_phrase_longer_than_it_reads(detector):
    with pytest.raises(BadInput, match=r"prompt: 'a very .* cat' is 23 tokens .* OWLv2 reads at most 16"):
        detector.detect(ours(block(64, 64)), "dog, " + "a very " * 10 + "cat", 1)


def test_packs_words_stand_for_those_that_a_folder_lacks(folder, detector, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    found, expected = (each.detect(ours(block(64, 64)), "a cat", 1) for each in (load_detector(tmp_path), detector))
    assert_close(found.token_probs, expected.token_probs)


def test_positions_of_old_files_are_no_weights(folder, detector, tmp_path):
    state = load_file(folder / "model.safetensors")
    for part, count in (("text", 16), ("vision", 65)):
        state[f"owlv2.{part}_model.embeddings.position_ids"] = torch.arange(count)[None]
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    assert load_detector(tmp_path).identity == detector.identity


def test_files_of_a_folder_must_make_sense(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / PREPROCESSOR).write_text('{"image_mean": [0.5]}')
    with pytest.raises(BadCheckpoint, match=r"preprocessor_config\.json: image_mean is \[0\.5\]; write three numbers"):
        load_detector(tmp_path)
    (tmp_path / PREPROCESSOR).unlink()
    (tmp_path / "vocab.json").write_text("{")
    with pytest.raises(BadCheckpoint, match=r"vocab\.json is no JSON"):
        load_detector(tmp_path)
