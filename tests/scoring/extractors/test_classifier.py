"""The scoring network that ships, and files that are none."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files.catalog import STARTER_ROOT
from trilemma.models.scoring.extractors.classifier_network import Classifier, load_classifier
from trilemma.tests.closeness import assert_close

STARTER = STARTER_ROOT / "emoji_classifier"


def test_the_starter_is_read_whole():
    network = load_classifier(STARTER)
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    features = network.features(pictures)
    assert features.shape == (2, Classifier.feature_size)
    assert_close(network.head(features), network(pictures))
    assert network(pictures).shape == (2, len(network.class_names))
    assert not any(weight.requires_grad for weight in network.parameters())


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(1)}, path)
    with pytest.raises(BadCheckpoint, match="no classifier"):
        load_classifier(path)


def test_missing_tensors_are_told(tmp_path):
    weights = load_file(STARTER / "model.safetensors")
    weights.pop("head.bias")
    metadata = {"trilemma": json.dumps({"architecture": "classifier", "class_names": ["a"] * 32})}
    save_file(weights, tmp_path / "model.safetensors", metadata=metadata)
    with pytest.raises(BadCheckpoint, match="do not fit"):
        load_classifier(tmp_path)
