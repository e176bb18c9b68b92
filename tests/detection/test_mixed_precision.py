"""Detectors in mixed precision: products in bfloat16, places in float32, nearly the same boxes."""

from collections import defaultdict

import pytest
import torch
from torch import nn
from trilemma.models.detection.kept_features import KeptFeatures
from trilemma.models.detection.loading import DETECTORS, load_detector
from trilemma.models.detection.mixed_precision import mixed
from trilemma.models.files.catalog import starter_folder
from trilemma.models.pictures.example_scenes import scene, scene_names
from trilemma.tests.closeness import assert_close
from trilemma.tests.families import checks, kinds

pytestmark = pytest.mark.slow

PROMPT = "cat, dog"
PLACING = ("sampling_offsets", "attention_weights", "bbox", "box_head", "class_embed", "score_head", "class_head")


def forget(detector):
    for module in detector.network.modules():
        if isinstance(module, KeptFeatures):
            module.forget()


@pytest.fixture(scope="module", params=DETECTORS.families, ids=lambda family: family.name)
def detector(request, tmp_path_factory):
    return load_detector(request.param.tiny(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def starter():
    return load_detector(starter_folder("detector", "starter emoji detector"))


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(2, 96, 96, 3, generator=torch.Generator().manual_seed(1))


def test_products_are_in_bfloat16_and_places_in_float32(detector, pictures):
    made = mixed(detector)
    forget(made)
    found = defaultdict(set)
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: found[name].add(output.dtype))
        for name, module in made.network.named_modules()
        if isinstance(module, nn.Linear)
    ]
    made.detect(pictures, PROMPT, 2)
    for hook in hooks:
        hook.remove()
    placing = {name: dtypes for name, dtypes in found.items() if any(part in name for part in PLACING)}
    assert placing and all(dtypes == {torch.float32} for dtypes in placing.values())
    assert sum(dtypes == {torch.bfloat16} for dtypes in found.values()) > len(found) / 4


def test_the_given_detector_computes_as_before(detector, pictures):
    forget(detector)
    before = detector.detect(pictures, PROMPT, 2)
    made = mixed(detector)
    forget(detector)
    other = made.detect(pictures, PROMPT, 2)
    forget(detector)
    after = detector.detect(pictures, PROMPT, 2)
    assert_close(after.boxes, before.boxes)
    assert_close(after.token_probs, before.token_probs)
    # bfloat16 has 8 bits: nearly the same, and not the same.
    off = (other.boxes[:, :, None] - before.boxes[:, None]).abs().amax(-1).amin(-1)
    assert 0 < off.median() < 0.02
    assert made.identity != detector.identity
    assert other.boxes.dtype == other.token_probs.dtype == torch.float32


@pytest.mark.parametrize("size", [1, 3])
def test_memory_is_foreseen(starter, size):
    made = mixed(starter)
    forget(made)
    checks.memory_is_foreseen(kinds.DETECTOR, made, made.architecture, (size,))


def test_objects_of_the_scenes_move_by_less_than_half_a_pixel(starter):
    """Candidates begin at the cells that look likeliest; where two are nearly equal, the other one may be taken, which
    moves that candidate by more."""
    images = torch.cat([scene(name) for name in scene_names()])
    prompt = "house, tree, cat, mushroom, hamburger, strawberry, soccer ball, panda, pumpkin, crown, fox, heart"
    made = mixed(starter)
    forget(starter)
    expected = starter.detect(images, prompt, 3)
    forget(starter)
    found = made.detect(images, prompt, 3)
    size = torch.tensor([expected.width, expected.height] * 2)
    off, differences, objects = [], [], 0
    for picture in range(len(images)):
        best = expected.token_probs[picture].amax(-1) > 0.5
        objects += len(set(expected.token_probs[picture][best].argmax(-1).tolist()))
        distances = ((expected.boxes[picture][best][:, None] - found.boxes[picture]) * size).abs().amax(-1)
        nearest = distances.min(-1)
        off.append(nearest.values)
        other = found.token_probs[picture][nearest.indices]
        differences.append((other - expected.token_probs[picture][best]).abs().amax(-1))
    assert objects >= 10
    assert torch.cat(off).quantile(0.9) < 0.5
    assert torch.cat(off).max() < 2
    assert torch.cat(differences).quantile(0.9) < 0.02
