"""Nodes that were made for the rules of graphs, one for each rule, and the writing of graphs of them."""

import torch
from trilemma.host.graph import run


class Number:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {"default": 0, "min": -10, "max": 10})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, value):
        return (value,)


class Show:
    """Shows each of its inputs, in whatever form it arrives."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("*",)}}

    RETURN_TYPES = ("*",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, value):
        return {"ui": {"seen": [value]}, "result": (value,)}


class Typed:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {},
            "optional": {
                "integer": ("INT", {"min": 0, "max": 5}),
                "real": ("FLOAT", {}),
                "text": ("STRING", {"multiline": True}),
                "flag": ("BOOLEAN",),
                "choice": (["a", "b"], {"default": "a"}),
                "newer_choice": ("COMBO", {"options": ["a", "b"]}),
                "picture": ("IMAGE,MASK",),
                "anything": ("*",),
            },
            "hidden": {
                "own_id": "UNIQUE_ID",
                "prompt": "PROMPT",
                "pnginfo": "EXTRA_PNGINFO",
                "dynamic": "DYNPROMPT",
            },
        }

    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, **inputs):
        return {"ui": {"inputs": [inputs]}}


class Spread:
    """A list of numbers: three outputs entries out of one call."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"count": ("INT", {})}}

    RETURN_TYPES = ("INT", "STRING")
    OUTPUT_IS_LIST = (True, False)
    FUNCTION = "run"

    def run(self, count):
        return (list(range(count)), f"{count} numbers")


class Pair:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"a": ("INT", {}), "b": ("INT", {})}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, a, b):
        return {"ui": {"pairs": [f"{a}{b}"], "calls": [1]}, "result": (f"{a}{b}",)}


class Gather(Pair):
    INPUT_IS_LIST = True

    def run(self, a, b):
        return {"ui": {"pairs": [a, b], "calls": [1]}, "result": ("",)}


class Either:
    @classmethod
    def INPUT_TYPES(cls):
        lazy = {"lazy": True}
        return {"required": {"first": ("BOOLEAN", {}), "a": ("*", lazy), "b": ("*", lazy)}}

    RETURN_TYPES = ("*",)
    FUNCTION = "run"

    def check_lazy_status(self, first, a=None, b=None):
        wanted = "a" if first else "b"
        return [wanted] if (a if first else b) is None else []

    def run(self, first, a, b):
        return ((a, b),)


class Fails:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("*",), "limit": ("INT", {})}}

    RETURN_TYPES = ("*",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, image, limit):
        raise ValueError("images: 3 frames are above the limit")


class Later:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("INT", {})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    async def run(self, value):
        import asyncio

        await asyncio.sleep(0)
        return (value + 1,)


class OwnRules:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"even": ("INT", {"max": 10}), "small": ("INT", {"max": 10})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def VALIDATE_INPUTS(cls, even):
        if even is None:
            return True
        return True if even % 2 == 0 else f"{even} is odd"

    def run(self, even, small):
        return {"ui": {"even": [even]}, "result": (even,)}


class OwnTypes:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"value": ("NOTHING",)}}

    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        return True if input_types["value"] == "INT" else f"cannot take {input_types['value']}"

    def run(self, value):
        return {"ui": {"value": [value]}}


class Picture:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"

    def run(self):
        return (torch.zeros(1, 2, 2, 3),)


class Inference(Picture):
    OUTPUT_NODE = True
    RETURN_TYPES = ()

    def run(self):
        return {"ui": {"mode": [torch.is_inference_mode_enabled()]}}


class Grows(Picture):
    OUTPUT_NODE = True

    def run(self):
        return {"result": (None,), "expand": {"new": {"class_type": "Picture", "inputs": {}}}}


class Short(Picture):
    RETURN_TYPES = ("INT", "INT")

    def run(self):
        return (1,)


NODES = {node.__name__: node for node in (
    Number, Show, Typed, Spread, Pair, Gather, Either, Fails, Later, OwnRules, OwnTypes, Picture, Inference, Grows,
    Short,
)}  # fmt: skip


def node(class_type, title=None, **inputs):
    entry = {"class_type": class_type, "inputs": inputs}
    return entry if title is None else {**entry, "_meta": {"title": title}}


def typed(**inputs):
    graph = {"1": node("Picture"), "2": node("Number", value=1), "9": node("Typed", **inputs)}
    return run(graph, NODES)["9"]["inputs"][0]
