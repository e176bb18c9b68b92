"""A prior over codes that draws by features: its sums, its conditions, and what its file tells."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.models.files.folders import read_model
from trilemma.models.generators import binding, noise
from trilemma.models.generators.autoregressive import feature_prior
from trilemma.models.generators.autoregressive.feature_prior import FeatureCodeGenerator
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.conditions import vector_conditions
from trilemma.models.generators.describing import describe
from trilemma.models.generators.loading import load_generator
from trilemma.models.generators.records import records_of
from trilemma.models.random_weights import write
from trilemma.tests.closeness import assert_close
from trilemma.tests.generators.autoregressive.tiny_codes import (
    CLASS_NAMES,
    CODES,
    FEATURES,
    GRID,
    GROUPS,
    HEADS,
    tiny_file,
    tiny_prior,
)

pytestmark = pytest.mark.slow

PLACES = GRID[0] * GRID[1]
TOLD = {"network": "a network", "identity": "0123"}
SOURCE = ("a network", "0123", "TF1")


def vectors(count: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def generator(tmp_path: Path) -> FeatureCodeGenerator:
    return load_generator(tiny_file(feature_prior, tmp_path, features=TOLD))


def without_classes(folder: Path) -> FeatureCodeGenerator:
    return load_generator(feature_prior.tiny(folder))


def codes(bound: Bound, count: int) -> torch.Tensor:
    return bound.generator.codes(noise.requests(count, 7, bound.conditions), bound.settings)


@torch.no_grad()
def test_place_by_place_gives_the_logits_of_all_at_once():
    prior, drawn = tiny_prior(feature_prior), torch.randint(CODES, (3, *GRID))
    given = F.normalize(vectors(3), dim=1)
    state = prior.begin(given)
    found = []
    for place in range(PLACES):
        known = drawn.flatten(1).clone()
        known[:, place:] = torch.randint(CODES, (3, PLACES - place))
        found.append(prior.next_logits(state, known, place))
    expected = prior(drawn, given)
    assert expected.std() > 0.1
    assert torch.allclose(torch.stack(found, dim=1), expected, rtol=0, atol=1e-5)


def test_features_reach_every_logit():
    """As a linear projection of what they are, in front of all codes."""
    prior = tiny_prior(feature_prior).double()
    given = vectors(1).double().requires_grad_()
    logits = prior(torch.randint(CODES, (1, *GRID)), given)
    for place in range(PLACES):
        (gradient,) = torch.autograd.grad(logits[0, place].square().sum(), given, retain_graph=True)
        assert gradient.abs().min() > 0
    projected = given @ prior.feature.weight.T + prior.feature.bias
    torch.testing.assert_close(prior.first(given), projected)


@torch.no_grad()
def test_a_sample_has_its_own_vector_whatever_its_batch(generator: FeatureCodeGenerator):
    bound = Bound(generator).with_conditions(vector_conditions(vectors(3), SOURCE))
    alone = [batch.images for batch in binding.sample(bound, 6, 3, batch_size=1)]
    assert torch.allclose(next(binding.sample(bound, 6, 3, 6)).images, torch.cat(alone), rtol=0, atol=1e-5)
    other = Bound(generator).with_conditions(vector_conditions(vectors(3, 1), SOURCE))
    assert not torch.equal(codes(other, 6), codes(bound, 6))


@torch.no_grad()
def test_only_the_direction_of_a_vector_counts(generator: FeatureCodeGenerator):
    drawn = [codes(Bound(generator).with_conditions(vector_conditions(s * vectors(2), ())), 4) for s in (1.0, 128.0)]
    assert torch.equal(*drawn)


@torch.no_grad()
def test_a_name_stands_for_the_mean_features_of_its_class(generator: FeatureCodeGenerator):
    """And a class that nobody named is drawn; neither changes the random numbers that follow."""
    kept = generator.modules[1].classes
    by_name = [codes(Bound(generator).with_conditions([Condition(name)]), 8) for name in CLASS_NAMES]
    by_mean = [codes(Bound(generator).with_conditions(vector_conditions(row[None], ())), 8) for row in kept]
    assert all(map(torch.equal, by_name, by_mean)) and not torch.equal(*by_name)
    free = codes(Bound(generator), 8)
    which = [[bool((free[i] == drawn[i]).all()) for drawn in by_name] for i in range(8)]
    assert all(map(any, which)) and {row.index(True) for row in which} == {0, 1}


def test_features_go_before_a_class_and_it_says_so(generator: FeatureCodeGenerator):
    bound = Bound(generator).with_conditions([Condition("dog")])
    both = bound.with_conditions(vector_conditions(vectors(2), SOURCE))
    with torch.no_grad():
        assert torch.equal(codes(both, 4), codes(bound._replace(conditions=both.conditions), 4))
        alone = Bound(generator).with_conditions(vector_conditions(vectors(2), SOURCE))
        assert torch.equal(codes(both, 4), codes(alone, 4))
    records = records_of(both, noise.requests(3, 0, both.conditions))
    assert [record["vector"] for record in records] == [both.conditions[i % 2].vector.digest for i in range(3)]
    assert records[0]["vector"] != records[1]["vector"]
    assert records[0]["remark"] == "the class 'dog' is left out: features say what to draw"
    assert "remark" not in records_of(alone, noise.requests(1, 0, alone.conditions))[0]


def test_it_tells_whose_features_it_takes(generator: FeatureCodeGenerator, tmp_path: Path):
    assert generator.descriptor.conditions == ("none", "class", "vector")
    assert "features: 5, of a network" in describe(generator.descriptor)
    (tmp_path / "other").mkdir()
    other = without_classes(tmp_path / "other").descriptor
    assert (other.conditions, other.num_classes, other.class_names) == (("vector",), 0, ())
    assert "features: 6, of a network that the file does not tell" in describe(other)


def test_features_of_another_network_are_refused(generator: FeatureCodeGenerator):
    bound = Bound(generator)
    with pytest.raises(BadInput, match="draws from 5 features of a network, and these are 4 of VGG-16"):
        bound.with_conditions(vector_conditions(torch.ones(1, 4), ("VGG-16", "4567", "clean")))
    with pytest.raises(BadInput, match="draws from features of a network, and these are of VGG-16; take the network"):
        bound.with_conditions(vector_conditions(vectors(1), ("VGG-16", "4567", "clean")))
    bound.with_conditions(vector_conditions(vectors(1), ("a network", "0123", "clean")))


def test_without_classes_features_are_needed(tmp_path: Path):
    generator = without_classes(tmp_path)
    assert not [name for name, kept in generator.modules[1].named_buffers() if kept.is_meta]
    with pytest.raises(CannotDo, match="draws from features, and there are none; connect Condition on Features"):
        codes(Bound(generator), 1)
    with pytest.raises(CannotDo, match=r"condition: .* takes none"):
        Bound(generator).with_conditions([Condition("dog")])


@pytest.mark.parametrize("name", ["prior.classes", "prior.feature.bias"])
def test_tensors_must_fit(name: str, tmp_path: Path):
    tensors = dict(read_model(tiny_file(feature_prior, tmp_path)).tensors)
    tensors[name] = tensors[name][..., :-1]
    with pytest.raises(BadCheckpoint, match=f"of another shape .{name}"):
        load_generator(write(tmp_path / "other.safetensors", tensors, norm_num_groups=GROUPS, heads=HEADS))


@torch.no_grad()
def test_what_was_saved_is_what_draws(tmp_path: Path):
    path = tiny_file(feature_prior, tmp_path)
    prior, built = load_generator(path).modules[1], tiny_prior(feature_prior)
    drawn, given = torch.randint(CODES, (3, *GRID)), vectors(3)
    assert_close(prior(drawn, given), built(drawn, given))
    assert_close(prior.classes, built.classes)
    assert json.loads(read_model(path).metadata["trilemma"])["class_names"] == CLASS_NAMES
