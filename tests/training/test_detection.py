"""The recipes of the detector and the segmenter, on plain shapes and a few steps."""

from itertools import permutations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn
from trilemma.models.detection import captions
from trilemma.models.detection.loading import load_detector
from trilemma.models.segmentation.loading import load_segmenter
from trilemma.models.segmentation.prompts import Prompt
from trilemma.tests.closeness import assert_close
from trilemma.training import cards, detection_loss, detector, prompts, segmenter
from trilemma.training.average_precision import Candidate, average_precision
from trilemma.training.loop import Schedule, train
from trilemma.training.scenes import GROUNDS, NAMES, Sprites, compose, draw_ground, resize, tight_box

pytestmark = pytest.mark.slow

SHAPES = ("dog", "soccer ball", "apple", "donut")


@pytest.fixture(scope="module")
def sprites() -> Sprites:
    drawn = {}
    for index, name in enumerate(SHAPES):
        shape = Image.new("RGBA", (48, 40))
        ImageDraw.Draw(shape).regular_polygon((24, 20, 18), 3 + index, fill=(60 * index, 255 - 60 * index, 128, 255))
        drawn[name, "noto"] = shape.crop(shape.getchannel("A").getbbox())
    return drawn


@pytest.fixture(scope="module")
def vocabulary() -> list[str]:
    return prompts.build_vocabulary(prompts.read_vocabulary(detector.BERT_VOCABULARY))


def scene_at(sprites: Sprites, seed: int, **options):
    return compose(np.random.default_rng(seed), sprites, **options)


def test_a_seed_is_a_scene(sprites):
    first, again, other = (scene_at(sprites, seed) for seed in (5, 5, 6))
    for left, right in zip(first, again, strict=True):
        assert np.array_equal(left, right)
    assert not np.array_equal(first.image, other.image)


@pytest.mark.parametrize("seed", range(8))
def test_boxes_bound_what_is_visible(sprites, seed):
    scene = scene_at(sprites, seed, count=(2, 5), touching=0.8)
    assert scene.image.shape == (128, 128, 3)
    assert scene.image.dtype == np.uint8
    assert len(scene.names) == len(scene.boxes) == len(scene.masks) > 0
    assert scene.masks.sum(axis=0).max() == 1
    for box, mask in zip(scene.boxes, scene.masks, strict=True):
        assert np.array_equal(box, tight_box(mask))


def test_masks_cover_the_sprite(sprites):
    red = {("apple", "noto"): Image.new("RGBA", (40, 30), (255, 0, 0, 255))}
    scene = compose(np.random.default_rng(0), red, count=(1, 1), max_angle=0.0, grounds=("plain",))
    assert np.array_equal((scene.image == (255, 0, 0)).all(axis=2), scene.masks[0])


@pytest.mark.parametrize("kind", GROUNDS)
def test_grounds_have_the_size_asked_for(kind):
    assert draw_ground(np.random.default_rng(1), 64, (kind,)).size == (64, 64)


def test_resize_scales_boxes_and_masks(sprites):
    small = scene_at(sprites, 3, size=64)
    large = resize(small, 128)
    assert large.image.shape == (128, 128, 3)
    assert np.array_equal(large.boxes, 2 * small.boxes)
    assert all(np.array_equal(tight_box(mask), box) for mask, box in zip(large.masks, large.boxes, strict=True))
    assert np.array_equal(large.masks[:, ::2, ::2], small.masks)


def test_vocabulary_knows_every_name_and_keeps_the_delimiters(vocabulary):
    assert len(vocabulary) == prompts.VOCABULARY_SIZE == len(set(vocabulary))
    assert {word for name in NAMES for word in name.split()} <= set(vocabulary)
    assert [vocabulary[index] for index in (0, 101, 102, 1012, 1029)] == ["[PAD]", "[CLS]", "[SEP]", ".", "?"]


def test_prompts_are_tokenised_as_the_pack_does(vocabulary, tmp_path):
    names = ["soccer ball", "donut", "top hat"]
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    theirs = captions.encode(" . ".join(names), captions.read_vocabulary(path), 64)
    ours = prompts.encode([names, ["dog"]], vocabulary)
    assert torch.equal(ours.ids[0], theirs.ids)
    assert torch.equal(torch.stack([ours.spans[0][name] for name in names]), theirs.phrase_tokens)
    assert ours.mask.sum(dim=1).tolist() == [len(theirs.ids), 4]


def test_prompts_name_some_that_are_absent_or_a_single_name():
    rng = np.random.default_rng(0)
    alone = []
    for _ in range(100):
        chosen = prompts.choose_names(rng, ["dog", "dog", "apple"])
        assert len(chosen) == len(set(chosen))
        if len(chosen) > 1:
            assert 1 <= len(set(chosen) - {"dog", "apple"}) <= 12
        else:
            alone.append(chosen[0] in {"dog", "apple"})
    assert len(alone) >= 10
    assert set(alone) == {True, False}


@pytest.mark.parametrize("targets", [1, 2, 3, 4])
def test_one_to_one_matching_is_optimal(targets):
    for seed in range(10):
        cost = torch.rand(6, targets, generator=torch.Generator().manual_seed(seed))
        queries, owners = detection_loss.match_one_to_one(cost)
        best = min(sum(cost[q, t] for t, q in enumerate(order)) for order in permutations(range(6), targets))
        assert len(set(queries.tolist())) == targets
        assert torch.allclose(cost[queries, owners].sum(), best)


def test_cheapest_matching_gives_a_query_to_one_target():
    cost = torch.tensor([[0.1, 0.2], [0.3, 0.1], [0.9, 0.8]])
    queries, owners = detection_loss.match_cheapest(cost, copies=2)
    assert queries.tolist() == [0, 1]
    assert owners.tolist() == [0, 1]


@pytest.mark.parametrize("copies", [None, 1])
def test_set_loss_vanishes_when_all_is_found(copies):
    boxes = torch.tensor([[[0.2, 0.2, 0.2, 0.2], [0.7, 0.6, 0.3, 0.4], [0.5, 0.5, 0.1, 0.1]]])
    tokens = torch.tensor([[False, True, True, False, False], [False, False, False, False, True]])
    logits = torch.full((1, 3, 5), -20.0)
    logits[0, :2][tokens] = 20.0
    mask = torch.ones(1, 5, dtype=torch.bool)
    loss = detection_loss.set_loss(logits, boxes, mask, [(boxes[0, :2], tokens)], copies)
    assert float(loss) < 1e-5
    wrong = detection_loss.set_loss(-logits, boxes, mask, [(boxes[0, :2], tokens)], copies)
    assert float(wrong) > 1.0


def test_set_loss_of_a_batch_is_that_of_its_images():
    rng = torch.Generator().manual_seed(0)
    logits, boxes = torch.randn(3, 7, 5, generator=rng), torch.rand(3, 7, 4, generator=rng) * 0.4 + 0.2
    tokens = [torch.eye(5, dtype=torch.bool)[[1, 3]], torch.eye(5, dtype=torch.bool)[[4]], torch.zeros(0, 0).bool()]
    targets = [(torch.rand(len(rows), 4, generator=rng) * 0.4 + 0.2, rows) for rows in tokens]
    mask = torch.tensor([[True] * 5, [True] * 5, [True, True, True, False, False]])
    whole = detection_loss.set_loss(logits, boxes, mask, targets, None)
    parts = [
        detection_loss.set_loss(logits[i : i + 1], boxes[i : i + 1], mask[i : i + 1], targets[i : i + 1], None)
        for i in range(3)
    ]
    assert torch.allclose(3 * whole, 2 * parts[0] + parts[1] + parts[2], rtol=1e-5)


def test_average_precision_by_hand():
    box, elsewhere = np.array([0.0, 0.0, 10.0, 10.0]), np.array([50.0, 50.0, 60.0, 60.0])
    truth = [box[None], box[None], np.zeros((0, 4))]
    candidates = [Candidate(0, 0.9, box), Candidate(2, 0.8, box), Candidate(0, 0.7, box), Candidate(1, 0.6, box)]
    assert average_precision(candidates, truth) == pytest.approx(0.5 * 1 + 0.5 * 2 / 4)
    assert average_precision([Candidate(0, 0.9, elsewhere)], truth) == 0.0
    assert average_precision(candidates, [np.zeros((0, 4))] * 3) is None


def test_rates_rise_fall_and_end_at_zero():
    plain = Schedule(steps=100, rate=2.0, warmup=10)
    assert plain.rate_at(0) == pytest.approx(0.2, rel=0.01)
    assert plain.rate_at(50) == pytest.approx(1.0)
    assert plain.rate_at(99) < 0.001
    cut = Schedule(steps=50, rate=2.0, horizon=100, cooldown=((40, 1.0), (50, 0.0)), warmup=10)
    assert [cut.rate_at(step) for step in range(41)] == [plain.rate_at(step) for step in range(41)]
    assert cut.rate_at(49) == pytest.approx(plain.rate_at(49) / 10)


def test_a_resumed_training_is_the_same_training(tmp_path):
    def run(steps: list[int]) -> nn.Module:
        torch.manual_seed(0)
        module = nn.Linear(3, 2)

        def losses_at(step: int) -> dict[str, torch.Tensor]:
            inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(step))
            return {"square": (module(inputs) - 1).square().mean()}

        for count in steps:
            schedule = Schedule(steps=count, rate=0.1, horizon=6, warmup=2)
            train(module, losses_at, schedule, tmp_path / f"{len(steps)}.pt", save_every=1)
        return module

    whole, resumed = run([6]), run([4, 6])
    assert_close(whole.weight, resumed.weight)


def test_cards_hold_the_figures(tmp_path):
    card = tmp_path / "README.md"
    card.write_text(f"# A model\n\n{cards.BEGIN}\nold\n{cards.END}\n\nLimits.\n", encoding="utf-8")
    for value in (0.5, 0.9126):
        cards.write_figures(tmp_path, {"scenes": 600, "mAP50": value})
    text = card.read_text(encoding="utf-8")
    assert "| mAP50 | 0.913 |" in text
    assert "| scenes | 600 |" in text
    assert "0.500" not in text
    assert text.startswith("# A model") and text.endswith("Limits.\n")


def descend(module: nn.Module, losses, steps: int = 6) -> list[float]:
    """Total losses of a few optimisation steps on the same data."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    totals = []
    for _ in range(steps):
        total = sum(losses().values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    return totals


def test_the_backbone_learns_names(sprites, vocabulary):
    aligner = detector.Aligner(detector.build_model(), prompts.encode([NAMES], vocabulary))
    batch = detector.draw_batch(sprites, 2, 0)
    totals = descend(aligner, lambda: detector.alignment_losses(aligner, batch))
    assert np.isfinite(totals).all()
    assert totals[-1] < 0.9 * totals[0]


def test_the_detector_learns(sprites, vocabulary):
    model = detector.build_model()
    batch = detector.draw_batch(sprites, 2, 0)
    prompt = prompts.encode([[*SHAPES, "cat"], list(SHAPES)], vocabulary)
    totals = descend(model, lambda: detector.detection_losses(model, batch, prompt))
    assert np.isfinite(totals).all()
    assert totals[0] < 60
    assert totals[-1] < 0.95 * totals[0]
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert all(".swin.layernorm." in name for name in idle)


def test_the_pack_reads_a_trained_detector(sprites, vocabulary, tmp_path):
    model = detector.build_model()
    brief = Schedule(steps=1, rate=1e-3, warmup=1)
    detector.fit(
        model,
        sprites,
        vocabulary,
        tmp_path / "runs",
        align=brief,
        stages=[detector.Stage(brief, copies, 0.2, 0.5) for copies in (None, 4)],
    )
    detector.export(model, vocabulary, tmp_path / "model")
    loaded = load_detector(tmp_path / "model")
    found = loaded.detect(torch.rand(1, 128, 128, 3), "dog . top hat", 1)
    assert found.phrases == ("dog", "top hat")
    assert found.boxes.shape == (1, 20, 4)
    assert found.token_probs.isfinite().all()


def test_the_segmenter_learns(sprites):
    model = segmenter.Trainee(segmenter.build_model())
    rng = np.random.default_rng(0)
    batch = [segmenter.draw_scene(rng, sprites) for _ in range(2)]
    asked = [segmenter.draw_prompt(rng, scene) for scene in batch]
    totals = descend(model, lambda: segmenter.segmentation_losses(model, batch, asked))
    assert np.isfinite(totals).all()
    assert totals[-1] < 0.9 * totals[0]


@pytest.mark.parametrize("seed", range(12))
def test_segmenter_prompts_fit_their_masks(sprites, seed):
    rng = np.random.default_rng(seed)
    scene = segmenter.draw_scene(rng, sprites)
    prompt = segmenter.draw_prompt(rng, scene)
    assert prompt.masks.shape == (segmenter.PROMPTS, 128, 128)
    assert prompt.boxes is not None or prompt.points is not None
    if prompt.points is not None:
        for points, labels, mask in zip(*prompt.points, prompt.masks, strict=True):
            for (x, y), label in zip(points.long().tolist(), labels.tolist(), strict=True):
                assert mask[y, x] == (label if mask.any() else 0)
    if prompt.boxes is not None:
        for box, mask in zip(prompt.boxes.numpy(), prompt.masks.numpy(), strict=True):
            assert np.abs(box - tight_box(mask > 0)).max() <= 0.06 * 128


def test_mask_loss_vanishes_on_the_mask_itself():
    wanted = (torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    right = segmenter.mask_loss(40 * wanted - 20, wanted)
    wrong = segmenter.mask_loss(20 - 40 * wanted, wanted)
    assert float(right.max()) < 1e-4
    assert float(wrong.min()) > 10


def test_the_iou_loss_bounds_what_is_missing_of_the_iou():
    torch.manual_seed(0)
    wanted = torch.zeros(2, 3, 8, 8)
    wanted[:, :, 2:6, 1:7] = 1
    logits = 3 * torch.randn(2, 3, 8, 8)
    missing = 1 - segmenter.overlap(logits > 0, wanted > 0)
    assert bool((segmenter.iou_loss(logits, wanted) >= missing).all())
    sure = 20 * wanted - 10
    assert float(segmenter.iou_loss(sure, wanted).max()) == 0
    shifted = sure.roll(1, dims=3)
    assert torch.allclose(segmenter.iou_loss(shifted, wanted), 11 * (1 - segmenter.overlap(shifted > 0, wanted > 0)))


@torch.no_grad()
def test_an_enlarged_segmenter_keeps_its_weights_and_its_sense_of_place():
    small = segmenter.build_model()
    torch.nn.init.normal_(small.image_encoder.pos_embed)
    large = segmenter.enlarge(small, segmenter.LARGE)
    assert large.image_encoder.img_size == segmenter.LARGE
    kept = large.state_dict()
    changed = {name for name, value in small.state_dict().items() if not torch.equal(value, kept[name])}
    distances = {f"image_encoder.blocks.{at}.attn.rel_pos_{of}" for at in segmenter.GLOBAL_BLOCKS for of in "hw"}
    assert changed == {"image_encoder.pos_embed", *distances}
    back = segmenter.enlarge(large, segmenter.SIZE).image_encoder.pos_embed
    assert torch.corrcoef(torch.stack([back.flatten(), small.image_encoder.pos_embed.flatten()]))[0, 1] > 0.9


def test_the_pack_reads_a_trained_segmenter(sprites, tmp_path):
    brief = Schedule(steps=1, rate=1e-3, warmup=1)
    model = segmenter.fit(sprites, tmp_path / "runs", (brief, brief, brief))
    segmenter.export(model, tmp_path / "model")
    loaded = load_segmenter(tmp_path / "model")
    assert loaded.config.decoder_num_heads == segmenter.DECODER_HEADS
    assert loaded.config.global_blocks == segmenter.GLOBAL_BLOCKS
    scene = scene_at(sprites, 1)
    embedding = loaded.encode(torch.tensor(scene.image)[None] / 255)
    box = {"x": 10.0, "y": 10.0, "width": 40.0, "height": 40.0}
    ours = expected_logits(model, scene.image, (10.0, 10.0, 50.0, 50.0))
    theirs, _ = loaded.decode(embedding, 0, [Prompt(0, box, ())], three=False)
    assert torch.allclose(ours, theirs, atol=0.05)


@torch.no_grad()
def expected_logits(model: nn.Module, image: np.ndarray, box: tuple[float, ...]) -> torch.Tensor:
    """Mask logits by the package that the network was built with."""
    from segment_anything.utils.transforms import ResizeLongestSide

    resize = ResizeLongestSide(segmenter.LARGE)
    pixels = torch.tensor(resize.apply_image(image)).permute(2, 0, 1).float()
    boxes = torch.from_numpy(resize.apply_boxes(np.array([box]), image.shape[:2])).float()
    batched = [{"image": pixels, "original_size": (128, 128), "boxes": boxes}]
    (output,) = model(batched, multimask_output=False)
    return output["low_res_logits"]
