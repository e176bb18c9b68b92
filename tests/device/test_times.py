"""How long the pack takes beside the plain libraries, on the same card, with the same weights, in turn.

Only a real accelerator's times mean something; elsewhere small models show that both sides run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from trilemma.models.detection.captions import VOCABULARY
from trilemma.models.detection.kept_features import KeptFeatures
from trilemma.models.detection.mixed_precision import mixed
from trilemma.models.inpainting.base import InpaintRequest
from trilemma.models.segmentation.prompts import Point, Prompt
from trilemma.models.weights import full_precision
from trilemma.tests.device import accelerator, figures
from trilemma.tests.device.cases import PROMPT, PUBLISHED_CASES, STARTER_CASES, Case, scenes
from trilemma.tests.segmentation.package import package_sam

BATCH = 4 if accelerator.REAL else 2
STEPS = 10 if accelerator.REAL else 2
SIDE = 1024 if accelerator.REAL else 128
SAMPLES = 256 if accelerator.REAL else 8
CASES = PUBLISHED_CASES if accelerator.REAL else STARTER_CASES


def loaded(case: Case, path: Path, dtype: torch.dtype = torch.float32):
    model = case.load(path, full_precision if dtype == torch.float32 else lambda parameters: dtype)
    for module in model.modules:
        module.to(accelerator.DEVICE)
    return model


def pictures(images: torch.Tensor) -> list[Image.Image]:
    return [Image.fromarray(image) for image in (images * 255).round().byte().numpy()]


def note(what: str, ours, theirs) -> None:
    figures.TIMES.append((f"{what}, {BATCH} pictures", *accelerator.in_turn(ours, theirs)))


def test_detector(tmp_path):
    from transformers import BertTokenizerFast, GroundingDinoImageProcessor, GroundingDinoProcessor

    case = CASES[0]
    path = case.write(tmp_path)
    detector = loaded(case, path)
    (network,) = detector.modules
    images = scenes(BATCH, SIDE)
    shown = pictures(images)
    vocabulary = path / "vocab.txt" if path.is_dir() else VOCABULARY
    size = detector.input_size
    processor = GroundingDinoProcessor(
        GroundingDinoImageProcessor(size={"shortest_edge": size.shortest, "longest_edge": size.longest}),
        BertTokenizerFast(vocab_file=str(vocabulary)),
    )

    @torch.no_grad()
    def plain():
        inputs = processor(images=shown, text=[f"{PROMPT} ."] * BATCH, return_tensors="pt").to(accelerator.DEVICE)
        answers = network(**inputs)
        sizes = [(SIDE, SIDE)] * BATCH
        return processor.post_process_grounded_object_detection(answers, inputs.input_ids, target_sizes=sizes)

    forget = [module.forget for module in network.modules() if isinstance(module, KeptFeatures)]

    def ours(asked):
        for each in forget:
            each()
        return asked.detect(images, PROMPT, BATCH)

    note(f"{case.name}, detect at {SIDE} px", lambda: ours(detector), plain)
    in_bfloat16 = mixed(detector)
    note(f"{case.name}, detect at {SIDE} px in mixed bfloat16", lambda: ours(in_bfloat16), plain)


def test_segmenter(tmp_path):
    from segment_anything import SamPredictor

    case = CASES[1]
    segmenter = loaded(case, case.write(tmp_path))
    predictor = SamPredictor(package_sam(segmenter).to(accelerator.DEVICE))
    images = scenes(BATCH, SIDE)
    arrays = [np.asarray(picture) for picture in pictures(images)]
    middle = SIDE / 2

    @torch.no_grad()
    def ours():
        embedding = segmenter.encode(images, BATCH)
        prompt = (Point(middle, middle, 1),)
        return [segmenter.decode(embedding, i, [Prompt(i, None, prompt)], three=True) for i in range(BATCH)]

    def plain():
        answers = []
        for array in arrays:
            predictor.set_image(array)
            answers.append(predictor.predict(np.array([[middle, middle]]), np.array([1])))
        return answers

    for (logits, _), (_, _, expected) in zip(ours(), plain(), strict=True):
        torch.testing.assert_close(
            logits[0].cpu(), torch.from_numpy(expected), rtol=0, atol=2e-3 * np.abs(expected).max()
        )
    note(f"{case.name}, a point each", ours, plain)


def test_inpainter(tmp_path):
    from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline

    case = CASES[2]
    dtype = torch.float16 if accelerator.REAL else torch.float32
    inpainter = loaded(case, case.write(tmp_path), dtype)
    bundle = inpainter.networks
    side = inpainter.native_resolution
    pipeline = StableDiffusionInpaintPipeline(
        bundle.vae,
        bundle.text_encoder,
        bundle.tokenizer,
        bundle.unet,
        DDIMScheduler.from_config(bundle.scheduler_config, clip_sample=False, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    images = scenes(BATCH, side)
    masks = torch.zeros(images.shape[:3])
    masks[:, side // 4 : -side // 4, side // 4 : -side // 4] = 1
    request = InpaintRequest(images, masks, "a star", steps=STEPS, sampler="DDIM")

    def plain():
        return pipeline(
            ["a star"] * BATCH,
            images.movedim(-1, 1).to(accelerator.DEVICE, dtype),
            masks[:, None].to(accelerator.DEVICE, dtype),
            height=side,
            width=side,
            num_inference_steps=STEPS,
            output_type="pt",
            generator=[torch.Generator().manual_seed(i) for i in range(BATCH)],
        )

    note(f"{case.name}, {STEPS} steps at {side} px", lambda: inpainter.inpaint(request, BATCH), plain)


def test_generator(tmp_path):
    case = next(case for case in CASES if "stylegan2" in case.name.lower())
    generator = loaded(case, case.write(tmp_path))
    (network,) = generator.modules
    streams = [torch.Generator().manual_seed(seed) for seed in range(SAMPLES)]

    @torch.no_grad()
    def plain():
        z = torch.stack([torch.randn(network.sizes.z_dim, generator=stream) for stream in streams])
        labels = torch.zeros(SAMPLES, dtype=torch.long) if network.sizes.c_dim else None
        sides = network.noise_sides
        noise = [torch.stack([torch.randn(1, side, side, generator=stream) for stream in streams]) for side in sides]
        styles = network.styles(z.to(accelerator.DEVICE), None if labels is None else labels.to(accelerator.DEVICE))
        return network(styles, [values.to(accelerator.DEVICE) for values in noise]).cpu()

    times = accelerator.in_turn(lambda: case.run(generator, SAMPLES), plain)
    figures.TIMES.append((f"{case.name}, {SAMPLES} samples beside the bare network", *times))
