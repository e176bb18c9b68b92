"""Guided diffusion of 64 px drawn by Load Generator's model and by its authors' loop, without and with a classifier."""

from __future__ import annotations

import torch
from trilemma.models.diffusion.samplers import OWN
from trilemma.models.generators import noise
from trilemma.models.generators.base import Condition
from trilemma.models.generators.diffusion.adm.classifier import NoisyClassifier
from trilemma.models.generators.diffusion.adm.generator import GuidedDiffusion
from trilemma.models.generators.diffusion.adm.layouts import Told
from trilemma.models.generators.diffusion.adm.network import Classifier, Sizes, UNet
from trilemma.models.generators.diffusion.adm.process import LINEAR, SpacedSampler, betas_of, spaced
from trilemma.models.generators.diffusion.base import DiffusionGenerator
from trilemma.models.steps import quiet
from trilemma.tests.benchmarks.adm_reference import Loop, as_theirs
from trilemma.tests.benchmarks.timing import Comparison, compare

SAMPLES = 8
STEPS = 2
"""Of 25; each costs the same."""
SIDE = 64
WIDTH = 64
"""A third of the published U-Net's, half of the classifier's; the depths are the published ones."""
CLASSES = 1000
AT_LEAST = 1.25
GUIDED_AT_LEAST = 1 / 0.9

UNET = Sizes(
    WIDTH, tuple(WIDTH * by for by in (1, 2, 3, 4)), 3, (False, True, True, True), classes=CLASSES, grouped=False
)
CLASSIFIER = Sizes(
    WIDTH, tuple(WIDTH * by for by in (1, 2, 3, 4)), 4, (False, True, True, True), outputs=CLASSES, grouped=True
)


def _random(network: torch.nn.Module) -> None:
    """The last convolution of each block is 0 in a new network."""
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        elif name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)


def compare_loops(guided: bool, repeats: int = 3) -> Comparison:
    """Both draw the same pictures with the same noise."""
    torch.manual_seed(0)
    unet, classifier = UNet(UNET), Classifier(CLASSIFIER, SIDE // 8)
    for network in (unet, classifier):
        _random(network)
        network.eval().requires_grad_(False)
    theirs = as_theirs(unet), as_theirs(classifier)
    for network in (unet, classifier):
        network.to(memory_format=torch.channels_last)
    told = Told(SIDE, head_channels=64, grouped=False, schedule=LINEAR)
    generator: DiffusionGenerator = GuidedDiffusion("ADM", unet, told, (), "x")
    options = {**generator.descriptor.options, "steps": STEPS}
    if guided:
        guide = NoisyClassifier(classifier, SIDE, "classifier", "y")
        generator, options["classifier_scale"] = generator.with_guide(guide, 1.0), 1.0
    requests = noise.requests(SAMPLES, 0, [Condition(str(place)) for place in range(SAMPLES)])
    sampler = SpacedSampler(betas_of(LINEAR, told.steps), spaced(told.steps, STEPS, OWN, True), True)
    loop = Loop(theirs[0], sampler, theirs[1] if guided else None)

    def reference() -> torch.Tensor:
        streams = noise.generators(requests)
        labels = noise.labels(generator.descriptor, requests, streams)
        start = torch.stack([torch.randn(3, SIDE, SIDE, generator=stream) for stream in streams])
        return loop.drawn(start, labels, streams)

    def ours() -> torch.Tensor:
        return generator.draw(requests, options, quiet)

    found = ours().movedim(-1, 1) * 2 - 1
    torch.testing.assert_close(found, reference().clamp(-1, 1), rtol=0, atol=1e-3)
    return compare(reference, ours, repeats)


def rows() -> list[tuple[str, Comparison, float]]:
    """What is compared, the times, and the least ratio that is promised."""
    what = f"ADM 64 px, a third of its width, {SAMPLES} samples, {STEPS} steps"
    return [
        (what, compare_loops(False), AT_LEAST),
        (f"{what}, with a classifier of half its width", compare_loops(True), GUIDED_AT_LEAST),
    ]
