"""Pictures of the nodes that want published files: how they are wired, without a run."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..server import PACK
from .graph import Graph, Node, Picture

STABLE_DIFFUSION = "v1-5-pruned-emaonly.safetensors"
CLIP = "clip-vit-large-patch14.safetensors"
FILES = (
    f"checkpoints/{STABLE_DIFFUSION}",
    "checkpoints/sd-v1-5-inpainting.safetensors",
    "controlnet/control_v11p_sd15_canny.pth",
    "loras/watercolour.safetensors",
    "generators/64x64_diffusion.pt",
    "generators/64x64_classifier.pt",
    "generators/64_256_upsampler.pt",
    "generators/karlo-image-variations.safetensors",
    f"text_encoders/{CLIP}",
    f"clip_vision/{CLIP}",
    "generators/model.ckpt",
)


def write_files(base: Path) -> None:
    """Below the server's base: empty files, so that the menus offer their names, and the picture that is loaded."""
    for name in FILES:
        path = base / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (base / "input").mkdir(exist_ok=True)
    shutil.copy(PACK / "models" / "starter" / "scenes" / "garden.png", base / "input" / "example.png")


def pictures() -> dict[str, Picture]:
    graph = Graph(runs=False)
    generator = graph("LoadGenerator", model=STABLE_DIFFUSION)
    inpainter = graph("LoadInpainter", model="sd-v1-5-inpainting.safetensors")
    photo = graph.core("LoadImage", image="example.png")
    edges = graph.core("Canny", image=photo)
    steer = graph("LoadControlNet", model="control_v11p_sd15_canny.pth")
    loras = graph("LoadLoRA", lora="watercolour.safetensors")
    drawn = graph("ApplyLoRAToGenerator", generator=generator, loras=loras)
    outlined = graph("ApplyControlNetToGenerator", generator=generator, controlnet=steer, hint=edges)
    repainted = graph("ApplyControlNetToInpainter", inpainter=inpainter, controlnet=steer, hint=edges)
    adm = graph("LoadGenerator", model="64x64_diffusion.pt")
    noisy = graph("ClassifierGuidance", generator=adm, model="64x64_classifier.pt", scale=1.0)
    larger = graph("LoadGenerator", model="64_256_upsampler.pt")
    upsampled = graph("UpsampleImage", generator=larger, image=photo)
    variations = graph("LoadGenerator", model="karlo-image-variations.safetensors")
    varied = graph("ConditionOnImages", generator=variations, images=photo)
    clip = graph.core("CLIPLoader", clip_name=CLIP)
    vision = graph.core("CLIPVisionLoader", clip_name=CLIP)
    words = graph("TextCritic", clip=clip, clip_vision=vision, text="a watercolour of a lighthouse in a storm")
    score = graph("CLIPScore", clip=clip, clip_vision=vision, image=photo, prompt="a lighthouse in a storm")
    features = graph("ExtractorFromCLIPVision", clip_vision=vision)
    checkpoint = graph.core("CheckpointLoaderSimple", ckpt_name=STABLE_DIFFUSION)
    positive, negative = (graph.core("CLIPTextEncode", clip=checkpoint[1], text=text) for text in ("a fox", "blurry"))
    host = graph("GeneratorFromCheckpoint", model=checkpoint, positive=positive, negative=negative, vae=checkpoint[2])
    starter = graph("LoadGenerator", model="starter emoji vae")
    measured = {
        "extractor": graph("LoadFeatureExtractor", model="starter emoji classifier"),
        "reference": graph("ExampleReference", reference="starter emoji pictures"),
    }
    part = graph("BenchmarkPart", generator=starter, **measured)
    convert = graph("ConvertToSafetensors", file="generators/model.ckpt")
    shots: dict[str, tuple[Node, ...]] = {
        "ApplyLoRAToGenerator": (loras, drawn),
        "LoadControlNet": (steer, outlined),
        "ApplyControlNetToGenerator": (steer, edges, outlined),
        "ApplyControlNetToInpainter": (steer, edges, repainted),
        "ClassifierGuidance": (adm, noisy),
        "UpsampleImage": (larger, upsampled),
        "ConditionOnImages": (variations, varied),
        "TextCritic": (vision, words),
        "CLIPScore": (vision, score),
        "ExtractorFromCLIPVision": (vision, features),
        "GeneratorFromCheckpoint": (checkpoint, host),
        "BenchmarkPart": (starter, part),
        "ConvertToSafetensors": (convert,),
    }
    return {name: Picture(graph, ((graph.shot(*nodes),),)) for name, nodes in shots.items()}
