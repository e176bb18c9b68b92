"""Questions about Extractor from CLIP Vision that only ComfyUI's own models can answer; run by ComfyUI's Python.

    python vision_probes.py CHECKOUT BASE_FOLDER

Prints one JSON object {probe: answer}. The models are ComfyUI's own classes, small, with random weights.
"""

import json
import sys
import traceback
from functools import partial
from pathlib import Path

CHECKOUT, BASE = Path(sys.argv[1]), Path(sys.argv[2])
sys.argv = [str(CHECKOUT / "main.py"), "--cpu", "--base-directory", str(BASE)]
sys.path[0] = str(CHECKOUT)

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import utils.extra_config  # noqa: E402, F401  (before `nodes`, which hides this package)

# isort: split
import comfy.clip_vision  # noqa: E402
import torch  # noqa: E402
from trilemma import host  # noqa: E402
from trilemma.models.errors import BadCheckpoint, CannotDo  # noqa: E402
from trilemma.models.scoring.features.extraction import Named, accumulate  # noqa: E402
from trilemma.nodes.score_extractors import ExtractorFromCLIPVision  # noqa: E402
from trilemma.tests.peak_memory import peak_bytes  # noqa: E402

TAPS = ("embedding",)
CLIP = {
    "model_type": "clip_vision_model", "image_size": 32, "patch_size": 8, "num_channels": 3, "hidden_size": 32,
    "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 2, "hidden_act": "quick_gelu",
    "projection_dim": 16,
}  # fmt: skip
DINO = {
    "model_type": "dinov2", "image_size": 518, "patch_size": 14, "hidden_size": 32, "num_attention_heads": 4,
    "num_hidden_layers": 2, "layer_norm_eps": 1e-6, "use_swiglu_ffn": False,
}  # fmt: skip


def vision(config, seed=0):
    """A model of this configuration, filled: ComfyUI leaves weights as they lie in memory until a file fills them."""
    file = BASE / "config.json"
    file.write_text(json.dumps(config))
    model = comfy.clip_vision.ClipVisionModel(str(file))
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.model.named_parameters():
        scale = 1 / max(1, parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.1
        parameter.data = torch.randn(parameter.shape, generator=generator) * scale + ("norm" in name)
    return model


def extractor_of(model, resize="clean"):
    return ExtractorFromCLIPVision().run(model, resize)["result"][0].model


def pictures(count, height=48, width=37):
    return torch.randint(256, (count, height, width, 3), generator=torch.Generator().manual_seed(1)).byte()


def vectors(extractor, images):
    return extractor.extract(extractor.prepare(images), TAPS).taps[0]


def hosts_own_vectors():
    """Difference from CLIP Vision Encode on images of the model's size, and how far images are from each other."""
    answer = {}
    for name, config in (("CLIP", CLIP), ("DINOv2", DINO)):
        model = vision(config)
        images = pictures(2, config["image_size"], config["image_size"])
        expected = model.encode_image(images.float() / 255, crop=False)["image_embeds"]
        found = vectors(extractor_of(model), images)
        answer[name] = [
            list(found.shape), (found - expected).abs().max().item(), (found[0] - found[1]).abs().max().item(),
        ]  # fmt: skip
    return answer


def batches():
    """Largest relative difference of vectors in batches of 1 and 3 from those in a batch of 8, per resize."""
    answer = {}
    for resize in ("TF1", "clean"):
        extractor = extractor_of(vision(CLIP), resize)
        whole = vectors(extractor, pictures(8))
        for size in (1, 3):
            parts = torch.cat([vectors(extractor, part) for part in pictures(8).split(size)])
            answer[f"{resize} {size}"] = ((parts - whole).abs().max() / whole.abs().max()).item()
    return answer


def accumulated():
    """A pass over images through the node's handle, as other nodes do it."""
    handle = ExtractorFromCLIPVision().run(vision(CLIP), "clean")["result"][0]
    images = [Named(str(index), index, image) for index, image in enumerate(pictures(5))]
    with host.placed(handle, memory=handle.model.memory_bytes(2)), host.progress(5) as on_step:
        features = accumulate(handle.model, images, TAPS, "set", 2, on_step=on_step, halving=host.halving)
    return [features.count, features.classes is None, list(features.rows.values.shape)]


def info():
    return [ExtractorFromCLIPVision().run(vision(config), "clean")["ui"]["text"][0] for config in (CLIP, DINO)]


def identities():
    """Of one model twice, of other weights, and of a patched one."""
    model = vision(CLIP)
    patched = vision(CLIP)
    key = next(name for name in patched.model.state_dict() if name.endswith("fc1.weight"))
    patched.patcher.add_patches({key: ("diff", (torch.ones_like(patched.model.state_dict()[key]),))})
    found = [extractor_of(each).source.identity for each in (model, model, vision(CLIP), vision(CLIP, 1), patched)]
    return [len(set(found[:3])), len(set(found))]


def memory():
    """Estimate / measured, per model and batch size."""
    answer = {}
    wide = {**CLIP, "image_size": 112, "hidden_size": 256, "intermediate_size": 1024, "num_attention_heads": 4}
    for name, config in (("CLIP", wide), ("DINOv2", {**DINO, "hidden_size": 128})):
        extractor = extractor_of(vision(config))
        for size in (1, 3, 8) if name == "CLIP" else (1, 2):
            prepared = extractor.prepare(pictures(size))
            with torch.inference_mode():
                measured = peak_bytes(partial(extractor.extract, prepared, TAPS))
            answer[f"{name} {size}"] = extractor.memory_bytes(size) / measured
    return answer


def derivatives():
    """Of a model made under inference mode: how far vectors are from the host's, and derivatives from differences."""
    answer = {}
    for name, config in (("CLIP", CLIP), ("DINOv2", DINO)):
        model = vision(config)
        side = config["image_size"]
        images = pictures(1, side, side).float() / 255
        expected = model.encode_image(images, crop=False)["image_embeds"]
        network = host.vision_network(model)
        with torch.inference_mode(False), torch.enable_grad():
            mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.image_mean, model.image_std))
            pixels = ((images.clone().movedim(-1, 1) - mean) / std).requires_grad_()
            found = network(pixels)
            (derivative,) = torch.autograd.grad(found.sum(), pixels)
            way = derivative.sign()
            step = 1e-2
            ahead, behind = (network(pixels.detach() + sign * step * way).sum().item() for sign in (1, -1))
        slope = (derivative * way).sum().item()
        answer[name] = [(found - expected).abs().max().item(), (ahead - behind) / (2 * step) / slope]
    return answer


def refusals():
    siglip = {**CLIP, "model_type": "siglip_vision_model"}
    siglip.pop("projection_dim")
    unfilled = vision(CLIP)
    unfilled.model.visual_projection.weight.data.zero_()
    answer = []
    for model, error in ((vision(siglip), CannotDo), (unfilled, BadCheckpoint)):
        try:
            extractor_of(model)
        except error as caught:
            answer.append(str(caught))
    return answer


def main():
    answers = {}
    with torch.inference_mode():
        for probe in (hosts_own_vectors, batches, accumulated, info, identities, memory, derivatives, refusals):
            try:
                answers[probe.__name__] = probe()
            except Exception:
                answers[probe.__name__] = traceback.format_exc()
    print(json.dumps(answers))


main()
