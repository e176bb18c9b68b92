"""MM-Grounding-DINO (Zhao et al. 2024, arXiv:2401.02361), in transformers' layout; LLMDet's folders are of it too.

It differs from Grounding DINO in its classification: scores are scaled by the root of the number of channels and have
a bias, and each layer of the decoder may have heads of its own, as `decoder_bbox_embed_share` and
`decoder_cls_embed_share` of the configuration say.
"""

from __future__ import annotations

from typing import Final

from .caption_detector import Kind
from .caption_folders import folder_family

KIND: Final = Kind("MM-Grounding-DINO", "MMGroundingDinoForObjectDetection", "4.55", "mm-grounding-dino")
FOLDER: Final = folder_family(KIND)
