"""Pictures of the nodes that find, cut out and repaint, in the scene of the garden."""

from __future__ import annotations

from .graph import Graph, Node, Output, Part, Picture

PUMPKIN = {"prompt": "a pumpkin", "seed": 3, "steps": 20, "guidance_scale": 2.5}
CROP = {"context_factor": 1.6, "resolution": 64, "soften": 10, "hole": "box"}


def pictures() -> dict[str, Picture]:
    return {
        name: Picture(graph, rows)
        for graph, found in (_finding(), _tracking(), _repainting(), _adapting())
        for name, rows in found.items()
    }


Rows = dict[str, tuple[tuple[Part, ...], ...]]


class _Scene:
    """The garden, its boxes of some words, and their masks."""

    def __init__(self, graph: Graph, prompt: str, image: Output | None = None) -> None:
        self.graph = graph
        self.image = image or graph("ExampleScene", scene="garden")
        self.load_detector = graph("LoadDetector", model="starter emoji detector")
        self.detect = graph("DetectByText", detector=self.load_detector, image=self.image, prompt=prompt)
        self.boxes = self.select()
        self.load_segmenter = graph("LoadSegmenter", model="starter emoji segmenter")
        self.embedding = graph("EncodeImage", segmenter=self.load_segmenter, image=self.image)
        self.objects = self.segment(self.boxes)

    def select(self, threshold: float = 0.35, **inputs: object) -> Node:
        return self.graph(
            "SelectDetections", detections=self.detect, box_threshold=threshold, text_threshold=0.25, **inputs
        )

    def segment(self, boxes: Output) -> Node:
        return self.graph("Segment", segmenter=self.load_segmenter, embedding=self.embedding, boxes=boxes)

    def drawn(self, **inputs: object) -> Node:
        return self.graph("DrawDetections", image=self.image, mask_opacity=0.75, **inputs)


def _finding() -> tuple[Graph, Rows]:
    graph = Graph()
    scene = _Scene(graph, "a mushroom . a cat")
    before = graph.images(scene.image)
    boxes, masks = graph.images(scene.drawn(boxes=scene.boxes)), graph.images(scene.drawn(objects=scene.objects))
    panel = scene.select(image=scene.image)
    everything = graph("SegmentEverything", segmenter=scene.load_segmenter, embedding=scene.embedding)
    mushroom = graph("SelectObjects", objects=scene.objects, labels="a mushroom")
    one_each = graph("ObjectsToMasks", objects=scene.objects, mode="one per object")
    union = graph("ObjectsToMasks", objects=scene.objects, mode="one per image")
    islands = graph("ObjectsFromMasks", image=scene.image, mask=union)
    soft = graph("GrowSoftenMasks", mask=union, grow=16, soften=12.0)
    save = graph("SaveDetections", objects=scene.objects, filename_prefix="annotations/garden", format="coco")
    load = graph("LoadDetections", image=scene.image, location="output", path=save)
    scenes = scene.image
    for name in ("night", "picnic"):
        scenes = graph.core("ImageBatch", image1=scenes, image2=graph("ExampleScene", scene=name))
    cat = graph("SelectObjects", objects=scene.objects, labels="a cat")
    return graph, {
        "ExampleScene": ((graph.images(scenes, count=3),),),
        "LoadDetector": ((graph.shot(scene.load_detector),), (before, boxes)),
        "DetectByText": ((graph.shot(scene.detect),), (before, graph.images(scene.drawn(boxes=scene.select(0.1))))),
        "SelectDetections": ((graph.shot(panel, width=340),),),
        "DrawDetections": ((before, graph.images(scene.drawn(boxes=scene.boxes, objects=scene.objects))),),
        "SaveDetections": ((masks, graph.shot(save)),),
        "LoadDetections": ((graph.shot(load), graph.images(scene.drawn(objects=load))),),
        "LoadSegmenter": ((graph.shot(scene.load_segmenter),), (before, masks)),
        "EncodeImage": ((before, graph.images(scene.drawn(objects=cat)), graph.images(scene.drawn(objects=mushroom))),),
        "Segment": ((boxes, masks),),
        "SegmentEverything": ((before, graph.images(scene.drawn(objects=everything, show_scores=False))),),
        "ObjectsFromMasks": ((graph.masks(union), graph.images(scene.drawn(objects=islands))),),
        "SelectObjects": ((masks, graph.images(scene.drawn(objects=mushroom))),),
        "ObjectsToMasks": ((masks, graph.masks(one_each, count=2)),),
        "GrowSoftenMasks": ((graph.masks(union), graph.masks(soft)),),
    }


def _tracking() -> tuple[Graph, Rows]:
    """The garden through a window that moves."""
    graph = Graph()
    garden = graph("ExampleScene", scene="garden")
    frames = [graph.core("ImageCrop", image=garden, width=300, height=300, x=x, y=60) for x in (0, 42, 84)]
    video = graph.core("ImageBatch", image1=frames[0], image2=frames[1])
    video = graph.core("ImageBatch", image1=video, image2=frames[2])
    scene = _Scene(graph, "a mushroom . a cat . a tree", video)
    tracked = graph("TrackObjects", objects=scene.objects)
    named = graph("SelectObjects", objects=tracked)[1]
    shown = graph.images(scene.drawn(boxes=named, objects=tracked, show_scores=False), count=3)
    return graph, {"TrackObjects": ((shown,), (graph.shot(tracked),))}


def _repainting() -> tuple[Graph, Rows]:
    graph = Graph()
    scene = _Scene(graph, "a mushroom")
    load = graph("LoadInpainter", model="starter emoji inpainter")
    crop = graph("CropObjects", image=scene.image, objects=scene.objects, inpainter=load, **CROP)
    painted = graph("InpaintByText", inpainter=load, image=crop, mask=crop[1], **PUMPKIN)
    whole = graph("StitchObjects", crops=crop[2], image=painted)
    black = graph.core("EmptyImage", batch_size=1, width=384, height=384, color=0)
    darker = graph.core("ImageBlend", image1=whole, image2=black, blend_factor=0.3, blend_mode="normal")
    restored = graph("RestoreUnedited", original=scene.image, edited=darker)
    difference = graph("CompareImages", reference=scene.image, image=whole, lpips="none", gain=4.0)
    words = {"new_object": "a pumpkin", "old_object": "a mushroom"}
    score = graph("ScoreEdit", original=scene.image, edited=whole, mask=whole[3], detector=scene.load_detector, **words)
    gate = graph(
        "ScoreGate", scores=score[6], name="nothing else changed", metric="untouched_difference", threshold=0.01,
        comparison="at most",
    )  # fmt: skip
    redrawn = graph("ImageToImage", image=crop, prompt="a pumpkin", inpainter=load, strength=0.7, seed=3)
    before, after, cut, new = (graph.images(one) for one in (scene.image, whole, crop, painted))
    return graph, {
        "CropObjects": ((graph.images(scene.drawn(boxes=scene.boxes)), cut, graph.masks(crop[1])),),
        "LoadInpainter": ((graph.shot(load),), (before, after)),
        "InpaintByText": ((cut, graph.masks(crop[1]), new),),
        "StitchObjects": ((new, after),),
        "RestoreUnedited": ((before, graph.images(darker)), (graph.images(restored[2]), graph.images(restored))),
        "CompareImages": ((before, after, graph.images(difference)),),
        "ScoreEdit": ((before, after), (graph.shot(score),)),
        "ScoreGate": ((graph.shot(gate),),),
        "ImageToImage": ((cut, graph.images(redrawn)),),
    }


def _adapting() -> tuple[Graph, Rows]:
    """Two LoRAs of the starter inpainter: merged, and each in its half of the picture."""
    graph = Graph()
    scene = _Scene(graph, "a tree . a mushroom")
    load = graph("LoadInpainter", model="starter emoji inpainter")
    options = {"context_factor": 1.2, "resolution": 128, "size_multiple": 16, "hole": "box", "per": "image"}
    crop = graph("CropObjects", image=scene.image, objects=scene.objects, **options)
    white, black = (graph.core("EmptyImage", batch_size=1, width=64, height=32, color=color) for color in (0xFFFFFF, 0))
    halves = graph("ImageGrid", columns=1, cell_size=64, gap=0, images_1=white, images_2=black)
    upper = graph.core("ImageToMask", image=halves, channel="red")
    lower = graph.core("InvertMask", mask=upper)
    penguin = graph("LoadLoRA", lora="starter emoji penguin")
    rocket = graph("LoadLoRA", lora="starter emoji rocket", loras=penguin)
    alone = graph("ApplyLoRAToInpainter", inpainter=load, loras=penguin)
    both = graph("ApplyLoRAToInpainter", inpainter=load, loras=rocket)
    first = graph("LoRARegion", lora="starter emoji penguin", mask=upper, prompt="a penguin")
    second = graph("LoRARegion", lora="starter emoji rocket", mask=lower, prompt="a rocket", regions=first)
    composed = graph("ComposeLoRAs", regions=second, inpainter=load)

    def painted(inpainter: Output, prompt: str) -> Part:
        options = {"prompt": prompt, "seed": 1, "guidance_scale": 4.0}
        crops = graph("InpaintByText", inpainter=inpainter, image=crop, mask=crop[1], **options)
        return graph.images(graph("StitchObjects", crops=crop[2], image=crops))

    plain = painted(load, "a penguin")
    adapted = painted(alone, "a penguin")
    each = painted(composed, "")
    return graph, {
        "LoadLoRA": ((graph.shot(penguin),), (plain, adapted)),
        "ApplyLoRAToInpainter": ((plain, adapted),),
        "LoRARegion": ((graph.masks(upper), graph.shot(first)), (graph.masks(lower), graph.shot(second))),
        "ComposeLoRAs": ((painted(both, "a penguin and a rocket"), each),),
    }
