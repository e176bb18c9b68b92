"""Inpainters without words; the particular before the general."""

from __future__ import annotations

from typing import Final

from .signature import PROMPTLESS, Signature

SIGNATURES: Final = (
    Signature(
        "a LaMa inpainter",
        PROMPTLESS,
        ("inpainter",),
        (r"(.*\.)?model\.1\.bn_l\.running_mean", r"(.*\.)?convg2g\.fu\.bn\.weight"),
    ),
    Signature(
        "a MAT inpainter",
        PROMPTLESS,
        ("inpainter",),
        (r"(.*\.)?first_stage\.conv_first\.conv\.resample_filter", r"(.*\.)?first_stage\.tran\.0\."),
    ),
    Signature(
        "an inpaint head of Fooocus",
        "comfyui-inpaint-nodes loads it, from models/inpaint",
        (),
        (r"\Ahead\Z",),
    ),
)
