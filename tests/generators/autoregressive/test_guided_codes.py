"""taming-transformers drawn behind the codes of a map of depths or labels."""

import pytest
import torch
from trilemma.models.errors import BadCheckpoint, BadInput, CannotDo
from trilemma.models.files import checkpoints
from trilemma.models.generators import completion, loading
from trilemma.models.generators.autoregressive import taming_transformer as taming
from trilemma.models.generators.autoregressive.guided_codes import labels_as_channels
from trilemma.models.generators.base import Condition
from trilemma.models.generators.binding import Bound, sample
from trilemma.models.generators.conditions import image_conditions
from trilemma.models.random_weights import write
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.families import checks, kinds

pytestmark = pytest.mark.slow

CHANNELS = {"depths": 1, "a picture": 3, "labels": 5}


@pytest.fixture(scope="module", params=CHANNELS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def path(kind, tmp_path_factory):
    return taming.write_tiny(tmp_path_factory.mktemp("guided"), 0, CHANNELS[kind])


@pytest.fixture
def generator(path):
    return loading.load_generator(path)


def depths(count=1, height=8, width=8):
    values = torch.rand(count, height, width, 1, generator=torch.Generator().manual_seed(count))
    return values.expand(-1, -1, -1, 3)


@pytest.fixture
def depth_generator(tmp_path):
    return loading.load_generator(taming.write_tiny(tmp_path, 0, 1))


def test_it_passes_what_every_family_does(generator):
    checks.no_answer_depends_on_the_batch(kinds.GENERATOR, generator)
    checks.steps_are_told_and_stop_the_run(kinds.GENERATOR, generator)


def test_memory_is_foreseen(generator):
    checks.memory_is_foreseen(kinds.GENERATOR, generator)


def likeliest(generator, image, begun=()):
    """The picture of the likeliest codes behind those of a map and the first of a picture, from the networks alone: all
    tokens are computed again for every code."""
    coder, prior, guide = generator.modules
    vectors = guide.network.quant_conv(guide.network.encoder(generator.guidance(image)[None]))
    tokens = torch.cdist(vectors.permute(0, 2, 3, 1).flatten(1, 2), guide.book[None]).argmin(dim=2)
    assert tokens.shape == (1, 16)
    tokens = torch.cat([tokens, torch.tensor([begun], dtype=torch.int64)], dim=1)
    while tokens.shape[1] < 32:
        tokens = torch.cat([tokens, prior.from_tokens(tokens)[:, -1].argmax(dim=1, keepdim=True)], dim=1)
    return coder.pictures(coder.vectors(tokens[:, 16:].reshape(1, 4, 4))).clamp(0, 1).permute(0, 2, 3, 1)


@torch.no_grad()
def test_the_codes_follow_those_of_the_map(generator):
    conditions = kinds.given(generator)[:1]
    bound = Bound(generator).with_options("autoregressive", {"top_k": 1}).with_conditions(conditions)
    (batch,) = sample(bound, 1, 0, 1)
    expected = likeliest(generator, conditions[0].images[0].values)
    assert (batch.images - expected).abs().max() < 1e-5


@torch.no_grad()
def test_half_a_picture_is_gone_on_with(generator):
    conditions, image = kinds.given(generator)[:1], kinds.pictures(1, 8)
    bound = Bound(generator).with_options("autoregressive", {"top_k": 1}).with_conditions(conditions)
    coder = generator.modules[0]
    begun = coder.codes(coder.means(image.permute(0, 3, 1, 2)))[0, :2].flatten().tolist()
    expected = likeliest(generator, conditions[0].images[0].values, begun)
    assert (completion.complete(bound, image, 0.5, 1, 0, 1) - expected).abs().max() < 1e-5


@torch.no_grad()
def test_one_by_one_as_all_at_once(depth_generator):
    prior = depth_generator.modules[1]
    draw = torch.Generator().manual_seed(0)
    before, codes = (torch.randint(12, (3, 16), generator=draw) for _ in range(2))
    state = prior.begin(before)
    found = [prior.next_logits(state, codes, place) for place in range(prior.places)]
    expected = prior(codes.reshape(3, 4, 4), before)
    assert expected.shape == (3, 16, 16)
    assert_close(torch.stack(found, dim=1), expected, 1e-4)


def test_each_sample_has_its_own_map_whatever_the_batch(depth_generator):
    bound = Bound(depth_generator).with_conditions(image_conditions(depths(3), 1))
    together = next(iter(sample(bound, 3, 7, 3))).images
    for place, batch in enumerate(sample(bound, 3, 7, 1)):
        assert_close(batch.images[0], together[place])
    alone = Bound(depth_generator).with_conditions(image_conditions(depths(3)[2:], 1))
    assert not is_close(next(iter(sample(alone, 1, 7, 1))).images[0], together[0])


def test_without_a_map_it_says_what_to_connect(generator, kind):
    assert generator.descriptor.conditions == ("image",)
    what = {"depths": "a map of depths", "labels": "a map of 5 labels"}.get(kind, kind)
    with pytest.raises(CannotDo, match=f"draws from {what}, and there is none; connect Condition on Images"):
        next(iter(sample(Bound(generator), 1, 0, 1)))
    with pytest.raises(CannotDo, match="takes none"):
        Bound(generator).with_conditions([Condition("a dog")])


def test_depths_are_stretched_and_cut_in_the_middle(depth_generator):
    wide = depths(1, 8, 12)[0]
    wide = (wide - wide.min()) / (wide.max() - wide.min())
    found = depth_generator.guidance(0.25 + wide / 2)
    assert found.shape == (1, 8, 8)
    assert_close(found[0], 2 * wide[:, 2:10, 0] - 1)
    assert (depth_generator.guidance(torch.full((5, 9, 3), 0.5)) == -1).all()


def test_labels_are_grey_levels():
    numbers = torch.tensor([[0, 1, 2, 181], [3, 3, 4, 5]])
    image = (numbers / 255)[..., None].expand(-1, -1, 3)
    found = labels_as_channels(image, 182, 4, 4)
    assert found.shape == (182, 4, 4) and (found.sum(dim=0) == 1).all()
    assert found.argmax(dim=0).tolist() == [[1, 1, 2, 2]] * 2 + [[3, 3, 4, 4]] * 2


def test_of_coco_stuff_they_are_counted_from_1():
    """Its 255 stands for pixels without a label."""
    image = (torch.tensor([[0, 181], [255, 7]]) / 255)[..., None].expand(-1, -1, 3)
    assert labels_as_channels(image, 183, 2, 2).argmax(dim=0).tolist() == [[1, 182], [0, 8]]


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (torch.tensor([0.0, 1 / 255, 0]).expand(2, 2, 3), "it has colours"),
        (torch.full((2, 2, 3), 182 / 255), "label 182 is none"),
        (torch.full((2, 2, 3), 1.5 / 255), "it has values between levels"),
    ],
)
def test_what_is_no_map_of_labels_is_refused(image, found):
    with pytest.raises(BadInput, match=f"images: this model draws from a map of 182 labels.*{found}"):
        labels_as_channels(image, 182, 2, 2)


def test_colours_of_labels_take_no_part(tmp_path):
    tensors = checkpoints.read(taming.write_tiny(tmp_path, 0, 5)).tensors
    plain = loading.load_generator(tmp_path / "tiny.safetensors")
    path = write(tmp_path / "other.safetensors", {**tensors, "cond_stage_model.colorize": torch.ones(3, 5, 1, 1)})
    assert loading.load_generator(path).identity == plain.identity


def test_what_is_missing_of_the_map_s_network_is_named(tmp_path):
    tensors = checkpoints.read(taming.write_tiny(tmp_path, 0, 1)).tensors
    del tensors["cond_stage_model.decoder.conv_out.bias"]
    path = write(tmp_path / "other.safetensors", tensors)
    with pytest.raises(BadCheckpoint, match=r"cond_stage_model.*decoder\.conv_out\.bias"):
        loading.load_generator(path)


def test_a_transformer_with_too_few_places_is_refused(tmp_path):
    tensors = checkpoints.read(taming.write_tiny(tmp_path, 0, 1)).tensors
    tensors["transformer.pos_emb"] = tensors["transformer.pos_emb"][:, :30]
    path = write(tmp_path / "other.safetensors", tensors)
    with pytest.raises(BadCheckpoint, match=r"30 places.* and makes 16 of a picture and its map's VQGAN 12 and 16"):
        loading.load_generator(path)
