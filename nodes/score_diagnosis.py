"""The node of the menu Trilemma/Score that looks for the families' known failures."""

from __future__ import annotations

from typing import Any

import torch

from .. import host
from ..models.errors import BadInput
from ..models.generators import images as image_source
from ..models.generators.binding import Bound
from ..models.pictures import grids
from ..models.scoring.diagnosis.failures import QUANTILE, diagnose
from ..models.scoring.diagnosis.observation import Run, fitting, look, memory_bytes, total
from ..models.scoring.reports import diagnosis_report
from ..models.scoring.reports.diagnosis_chart import draw_chart
from ..models.scoring.reports.diagnosis_strips import duplicate_strip, nearest_strip
from .common import inputs, kinds, menus
from .common.showing import show_text


class DiagnoseGenerator:
    DISPLAY_NAME = "Diagnose Generator"
    CATEGORY = menus.SCORE
    DESCRIPTION = (
        "Looks for what generators are known to fail by: a VAE's posterior collapse, a GAN's near-duplicates and "
        "missing modes, and for any model pictures that it has memorised. Says what it found in pictures, words and "
        "numbers."
    )
    SEARCH_ALIASES = [
        "mode collapse",
        "posterior collapse",
        "active units",
        "memorization",
        "overfitting",
        "duplicates",
        "nearest neighbour",
        "nearest neighbor",
        "data copying",
    ]
    RETURN_TYPES = ("IMAGE", "IMAGE", "IMAGE", "STRING", "STRING", "FLOAT", "FLOAT", "FLOAT", "FLOAT", "FLOAT")
    RETURN_NAMES = (
        "chart",
        "nearest_images",
        "duplicate_images",
        "report",
        "data",
        "active_units",
        "duplicate_share",
        "coverage",
        "memorised_share",
        "relevant_dimensions",
    )
    OUTPUT_TOOLTIPS = (
        "Bars: divergence of each latent number (VAE), classes, distances to the reference.",
        "The samples nearest to a reference picture, and beneath each that picture; the ratio of distances above.",
        "The samples nearest to another sample, and beneath each that other one.",
        "A verdict on each failure, and the numbers behind it.",
        "JSON: all numbers, and of each sample its nearest reference picture.",
        "Latent numbers of a VAE that tell images apart; NaN for other models.",
        "Share of the samples with a near-duplicate among the others, 0 to 1.",
        "Share of the reference with a sample in its neighbourhood, 0 to 1.",
        "Share of the samples that are nearly equal to a reference picture, 0 to 1.",
        "Latent numbers of a VAE that have 99 % of what moves its pictures; NaN for other models.",
    )
    FUNCTION = "run"
    HAS_INTERMEDIATE_OUTPUT = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "generator": inputs.link(kinds.GENERATOR, "The model to be looked at, options and all."),
                "extractor": inputs.link(kinds.EXTRACTOR, "From Load Feature Extractor; it measures distances."),
                "num_images": inputs.integer(256, 6, 50_000, "How many samples to draw."),
                "seed": inputs.seed("Sample i is drawn with seed + i."),
            },
            "optional": {
                "images": inputs.link(
                    "IMAGE", "Reference pictures; to find memorised ones, those that the model was trained on."
                ),
                "reference": inputs.link(
                    kinds.GENERATOR, "Instead of images: from Images as Generator, such as a folder of pictures."
                ),
                "num_reference": inputs.integer(
                    1024, 6, 50_000, "How many pictures of `reference` to take; not for images."
                ),
                "duplicate_quantile": inputs.advanced(
                    inputs.number(
                        QUANTILE,
                        0.001,
                        0.5,
                        0.001,
                        "Samples count as near-duplicates at a distance that this share of the reference "
                        "pictures has to the next one.",
                    )
                ),
                "shown": inputs.integer(8, 1, 64, "Columns of the two image strips."),
                "theme": inputs.theme(),
                "batch_size": inputs.fitting_batch_size("drawn and looked at"),
            },
        }

    def run(
        self,
        generator: host.Handle,
        extractor: host.Handle,
        num_images: int,
        seed: int,
        images: torch.Tensor | None = None,
        reference: host.Handle | None = None,
        num_reference: int = 1024,
        duplicate_quantile: float = QUANTILE,
        shown: int = 8,
        theme: grids.Theme = "light",
        batch_size: int = 0,
    ) -> dict[str, Any]:
        if images is not None and reference is None:
            pictures = Bound(image_source.Images(image_source.from_batch(images)))
            theirs, handles = Run(pictures, len(images), 0), (generator, extractor)
        elif reference is not None and images is None:
            theirs, handles = Run(reference.model, num_reference, 0), (generator, extractor, reference)
        else:
            raise BadInput("images, reference: connect one of the two, pictures for the samples to be compared with.")
        ours, network = Run(generator.model, num_images, seed), extractor.model
        size = batch_size or fitting(ours, theirs)
        memory = memory_bytes(ours, theirs, network, size)
        with host.placed(*handles, memory=memory), host.progress(total(ours, theirs)) as on_step:
            seen, known, activity, relevance = look(ours, theirs, network, size, on_step, host.halving)
            found = diagnose(seen, known, network.classes, activity, duplicate_quantile, relevance)
            strips = (
                nearest_strip(found, ours, theirs, known, shown, theme),
                duplicate_strip(found, ours, shown, theme),
            )
        name = ours.bound.generator.descriptor.architecture
        text = diagnosis_report.describe(found, seen, known, name, duplicate_quantile)
        data = diagnosis_report.to_json(found, seen, known, name, duplicate_quantile)
        pictures = [host.intermediate(picture) for picture in (draw_chart(found, name, theme), *strips)]
        shares = (found.duplicate_share, found.coverage, found.memorised_share)
        numbers = (found.active_units, *shares, found.relevant_dimensions)
        return show_text(text, *pictures, text, data, *numbers)


NODES = {"TrilemmaDiagnoseGenerator": DiagnoseGenerator}
