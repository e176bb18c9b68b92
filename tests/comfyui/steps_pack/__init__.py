"""Nodes for tests, made of the pack's host layer alone: a long run with previews, and a network that is held."""

import sys
import time

import torch


def host():
    """The host layer of the pack as ComfyUI has loaded it (under its path, not under a name)."""
    return next(module for name, module in sys.modules.items() if name.endswith("ComfyUI-Trilemma.host"))


class Steps:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "total": ("INT", {"default": 20, "min": 1, "max": 10000}),
                "seconds": ("FLOAT", {"default": 0.05}),
                "preview_every": ("INT", {"default": 5, "min": 1, "max": 100}),
            }
        }

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, total, seconds, preview_every):
        done = 0
        with host().progress(total) as on_step:
            for done in range(1, total + 1):
                time.sleep(seconds)
                shade = torch.full((64, 48, 3), done / total)
                on_step(done, shade if done % preview_every == 0 else None)
        return {"ui": {"text": [str(done)]}, "result": (torch.zeros(1, 8, 8, 3),)}


class HeldNetwork:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"features": ("INT", {"default": 256, "min": 1, "max": 4096})}}

    RETURN_TYPES = ("HELD_NETWORK",)
    FUNCTION = "run"

    def run(self, features):
        torch.manual_seed(0)
        with host().without_inference_mode():
            network = torch.nn.Linear(features, features)
        return (host().hold(network, [network]),)


class UseNetwork:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"network": ("HELD_NETWORK",), "seed": ("INT", {"default": 0})}}

    RETURN_TYPES = ()
    FUNCTION = "run"
    OUTPUT_NODE = True

    def run(self, network, seed):
        import comfy.model_management as management

        with host().placed(network, memory=2**20) as device:
            total = network.model(torch.ones(network.model.in_features, device=device)).sum().item()
        return {"ui": {"total": [total], "loaded": [len(management.current_loaded_models)]}}


NODE_CLASS_MAPPINGS = {"TestSteps": Steps, "TestHeldNetwork": HeldNetwork, "TestUseNetwork": UseNetwork}
