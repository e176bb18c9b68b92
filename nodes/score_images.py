"""Nodes of the menu Trilemma/Score that score single images, against references and against prompts."""

from __future__ import annotations

from typing import Any, Final, Literal

import torch

from .. import host
from ..models.pictures.images import rgb
from ..models.scoring import taken_by
from ..models.scoring.comparison.influences import of_images
from ..models.scoring.metrics import clip_score, lpips, pairs, sharpness
from ..models.scoring.metrics.lpips import Net
from ..models.scoring.reports import pairs_report, prompts_report
from ..models.scoring.reports.difference import difference_map
from ..models.scoring.scores import Scores
from ..models.steps import OnStep
from .common import inputs, kinds, menus
from .common.metric_inputs import name_of_images
from .common.perceptual import lpips_network
from .common.showing import show_text

NO_LPIPS: Final = "none"


class CompareImages:
    DISPLAY_NAME = "Compare Images (PSNR, SSIM, LPIPS)"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "How close images are to references, pair by pair: PSNR, SSIM, MS-SSIM and LPIPS, and a picture of where they "
        "differ."
    )
    SEARCH_ALIASES = ["psnr", "ssim", "ms-ssim", "lpips", "image difference", "difference map", "image similarity"]
    RETURN_TYPES = ("IMAGE", "FLOAT", "FLOAT", "FLOAT", "FLOAT", kinds.SCORES, "STRING", "STRING")
    RETURN_NAMES = ("difference", "psnr", "ssim", "ms_ssim", "lpips", "scores", "data", "report")
    OUTPUT_TOOLTIPS = (
        "For each pair the absolute difference times gain: black where there is none, through violet and orange to "
        "pale yellow.",
        "Mean PSNR in dB; infinite if a pair is identical.",
        "Mean SSIM, 1 for identical images.",
        "Mean MS-SSIM; NaN for images below 176 pixels.",
        "Mean LPIPS, 0 for identical images; NaN if no network was chosen.",
        "The means, for Score Gate and Leaderboard.",
        "JSON: the values of every pair.",
        "The values of every pair, and why one is missing.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "reference": inputs.link("IMAGE", "The originals: one image, or as many; alpha is ignored."),
                "image": inputs.link("IMAGE", "What is compared with them, of the same size; alpha is ignored."),
                "lpips": inputs.choice(
                    [NO_LPIPS, *lpips.BACKBONES],
                    "Network of LPIPS. alex and vgg need torchvision's ImageNet weights in "
                    "models/metrics; without them the error says where to get the file.",
                ),
                "gain": inputs.number(
                    4.0, 0.0, 1000.0, 0.5, "What differences are multiplied by in the picture; it moves no score."
                ),
            },
            "optional": {"name": name_of_images("compared images")},
        }

    def run(
        self,
        reference: torch.Tensor,
        image: torch.Tensor,
        lpips: Net | Literal["none"],
        gain: float,
        name: str = "compared images",
    ) -> dict[str, Any]:
        matched = pairs.match_pairs(reference, image)
        network = None if lpips == NO_LPIPS else lpips_network(lpips, NO_LPIPS)
        with host.progress(len(matched.image)) as on_step:
            comparison = _compare(matched, network, on_step)
        text = pairs_report.describe(comparison)
        provenance = {
            "images": len(matched.image),
            "size": [comparison.width, comparison.height],
            "lpips": lpips,
            taken_by.KEY: taken_by.of_pairs(matched, lpips, network),
        }
        influences = of_images(comparison.values)
        scores = Scores(name, pairs.as_scores(comparison), provenance=provenance, influences=influences)
        means = (comparison.mean(metric) for metric in ("psnr", "ssim", "ms_ssim", "lpips"))
        shown = host.intermediate(difference_map(matched, gain))
        return show_text(text, shown, *means, scores, pairs_report.to_json(comparison), text)


def _compare(matched: pairs.Pairs, network: lpips.Lpips | None, on_step: OnStep) -> pairs.Comparison:
    if network is None:
        return pairs.compare(matched, on_step=on_step)
    height, width = matched.image.shape[1:3]
    with host.placed(host.hold(network, network.modules), memory=network.memory_bytes(height, width)):
        return pairs.compare(matched, network.distance, network.side, on_step)


class ScoreSharpness:
    DISPLAY_NAME = "Score Sharpness"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Whether images are blurred beside a reference set, which FID hardly sees: how steeply their power falls with "
        "frequency, and which share of the high frequencies is missing. The sets are not paired."
    )
    SEARCH_ALIASES = ["blur", "power spectrum", "spectral slope", "high frequency", "soft images", "vae blur"]
    RETURN_TYPES = ("FLOAT", "FLOAT", kinds.SCORES, "STRING")
    RETURN_NAMES = ("slope", "lost", "scores", "report")
    OUTPUT_TOOLTIPS = (
        "Slope of log power by log frequency, less the reference's; below 0 where the images are softer.",
        "Share of the high frequencies that is missing; 0 for none, below 0 where there are more.",
        "Both, for Score Gate and Leaderboard.",
        "Both in words.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "images": inputs.link("IMAGE", "What is judged: a batch; alpha is ignored."),
                "reference": inputs.link("IMAGE", "Sharp images of the same size and kind, such as real ones."),
            },
            "optional": {"name": name_of_images("images")},
        }

    def run(self, images: torch.Tensor, reference: torch.Tensor, name: str = "images") -> dict[str, Any]:
        found = sharpness.sharpness(images, reference)
        provenance = {"images": len(images), taken_by.KEY: taken_by.of_sharpness(images, reference)}
        scores = Scores(name, sharpness.as_scores(found), provenance=provenance)
        text = sharpness.describe(found)
        return show_text(text, found.slope, found.lost, scores, text)


class CLIPScore:
    DISPLAY_NAME = "CLIP Score"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "How well images fit their prompts: 100 times the cosine of their CLIP embeddings, and 0 where it is negative "
        "(Hessel et al. 2021). A CLIP without its text projection is refused: its score would be wrong."
    )
    SEARCH_ALIASES = ["clipscore", "text image similarity", "prompt adherence", "prompt alignment", "clip similarity"]
    RETURN_TYPES = ("FLOAT", kinds.SCORES, "STRING", "STRING")
    RETURN_NAMES = ("clip_score", "scores", "data", "report")
    OUTPUT_TOOLTIPS = (
        "The mean, 0 to 100.",
        "The mean, for Score Gate and Leaderboard.",
        "JSON: score and prompt of every image.",
        "The score of every image.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "clip": inputs.link("CLIP", "The text half of a CLIP, from Load CLIP; its files must hold all of it."),
                "clip_vision": inputs.link("CLIP_VISION", "The image half of the same CLIP, from Load CLIP Vision."),
                "image": inputs.link("IMAGE", "One image or a batch, of which the middle square is seen."),
                "prompt": inputs.multiline(
                    "",
                    "One prompt, or one to a line: image i takes line i, and the first again after the "
                    "last. CLIP reads the first 75 tokens; weights such as (cat:1.2) do not count.",
                ),
            },
            "optional": {
                "batch_size": inputs.batch_size(8, 256, "Images looked at together."),
                "name": name_of_images("prompted images"),
            },
            "hidden": {"graph": "DYNPROMPT", "node_id": "UNIQUE_ID"},
        }

    def run(
        self,
        clip: Any,
        clip_vision: Any,
        image: torch.Tensor,
        prompt: str,
        batch_size: int = 8,
        name: str = "prompted images",
        graph: Any = None,
        node_id: str | None = None,
    ) -> dict[str, Any]:
        images = rgb(image)
        prompts = clip_score.read_prompts(prompt, len(images))
        towers = {
            "clip": host.text_tower(clip, graph, node_id),
            "clip_vision": host.image_tower(clip_vision, graph, node_id),
        }
        for what, tower in towers.items():
            clip_score.check_projection(tower.projection, what, tower.files, tower.in_files)
        embedded = {text: towers["clip"].embed(text) for text in dict.fromkeys(prompts)}
        with host.progress(len(images)) as on_step:
            features = host.halving(
                lambda size: clip_score.embed_images(images, towers["clip_vision"].embed, size, on_step),
                min(batch_size, len(images)),
            )
        values = clip_score.clip_scores(features, torch.cat([embedded[text] for text in prompts]))
        provenance = {
            "images": len(images),
            **{what: list(tower.files) for what, tower in towers.items()},
            taken_by.KEY: taken_by.of_prompts(prompts, *(tower.identity for tower in towers.values())),
        }
        influences = of_images({"clip_score": values})
        scores = Scores(name, clip_score.as_scores(values), provenance=provenance, influences=influences)
        text = prompts_report.describe(values, prompts, [what for what, tower in towers.items() if not tower.files])
        data = prompts_report.to_json(values, prompts)
        return show_text(text, scores.value("clip_score"), scores, data, text)


NODES = {
    "TrilemmaCompareImages": CompareImages,
    "TrilemmaCLIPScore": CLIPScore,
    "TrilemmaScoreSharpness": ScoreSharpness,
}
