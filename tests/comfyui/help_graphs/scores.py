"""Pictures of the nodes that score."""

from __future__ import annotations

from .generators import condition, load, sample
from .graph import Graph, Node, Part, Picture

Rows = dict[str, tuple[tuple[Part, ...], ...]]


def pictures() -> dict[str, Picture]:
    graphs = (_sets(), _benchmarks(), _table(), _triangles(), _prompts(), _diagnosis())
    return {name: Picture(graph, rows) for graph, found in graphs for name, rows in found.items()}


def classifier(graph: Graph) -> Node:
    return graph("LoadFeatureExtractor", model="starter emoji classifier", resize="TF1")


def reference(graph: Graph) -> Node:
    return graph("ExampleReference", reference="starter emoji pictures")


def _sets() -> tuple[Graph, Rows]:
    graph = Graph()
    extractor, real = classifier(graph), reference(graph)
    drawn = sample(graph, condition(graph, load(graph, "stylegan2"), "*"), 128)
    saved = graph("SaveSamples", images=drawn, records=drawn[1], filename_prefix="scored/gan")
    features = graph("ImageFeatures", images=drawn, extractor=extractor, name="GAN")
    folder = graph("FolderFeatures", location="output", folder=saved[1], extractor=extractor, name="a folder")
    merged = graph("MergeFeatures", name="both", features_1=features, features_2=folder)
    kept = graph("SaveFeatures", features=merged, file="features/both.npz")
    again = graph("LoadFeatures", location="output", file=kept[1])
    score = graph("Score", generated=features, reference=real)
    some = graph.images(drawn, count=24, columns=6)
    return graph, {
        "LoadFeatureExtractor": ((graph.shot(extractor, features),),),
        "ImageFeatures": ((some, graph.shot(features)),),
        "FolderFeatures": ((some, graph.shot(folder)),),
        "MergeFeatures": ((graph.shot(merged),),),
        "SaveFeatures": ((graph.shot(merged, kept),),),
        "LoadFeatures": ((graph.shot(again),),),
        "ExampleReference": ((graph.shot(real, score),),),
        "Score": ((graph.shot(score),),),
    }


def _benchmarks() -> tuple[Graph, Rows]:
    graph = Graph()
    extractor, real = classifier(graph), reference(graph)
    names = {"VAE": "vae", "VQ-VAE + PixelCNN": "vqvae pixelcnn", "StyleGAN2": "stylegan2", "SSA-GAN": "ssa gan"}
    loaded = {label: load(graph, name) for label, name in names.items()}
    measured = {"extractor": extractor, "reference": real, "num_images": 128}
    rows = [
        graph("BenchmarkGenerator", generator=one, name=label, filename_prefix=f"help/{number}", **measured)
        for number, (label, one) in enumerate(loaded.items())
    ]
    published = graph("PublishedScores", tables="VAE, VQGAN and Stable Diffusion")
    scores = {f"scores_{number}": row for number, row in enumerate(rows, 1)}
    board = graph("Leaderboard", sort_by="fid", quality="fid", coverage="recall", filename_prefix="", **scores)
    text = graph("PaperText", leaderboard=board, quality="fid", coverage="recall")
    sweep = graph(
        "Sweep", generator=loaded["StyleGAN2"], option="truncation_psi", values="0.4, 0.7, 1.0",
        filename_prefix="help/sweep", **measured,
    )  # fmt: skip
    best, worst = (graph.images(rows[2][output], count=8) for output in (2, 3))
    return graph, {
        "BenchmarkGenerator": ((graph.shot(rows[2]),), (best,), (worst,)),
        "Leaderboard": ((graph.shot(board, width=460),),),
        "PublishedScores": ((graph.shot(published),),),
        "PaperText": ((graph.shot(text),),),
        "Sweep": ((graph.images(sweep[3]),),),
    }


def _table() -> tuple[Graph, Rows]:
    graph = Graph()
    systems = "starter emoji vae\nstarter emoji stylegan2\nstarter emoji ssa gan"
    table = graph("LiteratureTable", systems=systems, num_images=64)
    return graph, {"LiteratureTable": ((graph.shot(table),),)}


def _triangles() -> tuple[Graph, Rows]:
    graph = Graph()
    faulty = graph("KnownTriangles", num_images=200, seed=3, faulty=0.3, fault="hole")
    fewer = graph("KnownTriangles", num_images=200, seed=3, modes_left_out=3)
    score = graph("ScoreTriangles", images=faulty, name="a third have a hole")
    pixels = graph("ExtractorOfPixels", side=28)
    features = graph("ImageFeatures", images=faulty, extractor=pixels)
    shown, nearest = (graph.images(one, count=20, columns=10) for one in (faulty, score[2]))
    return graph, {
        "KnownTriangles": ((shown,), (graph.images(fewer, count=20, columns=10),), (graph.shot(faulty),)),
        "ScoreTriangles": ((shown,), (nearest,), (graph.shot(score),)),
        "ExtractorOfPixels": ((graph.shot(pixels, features),),),
    }


def _prompts() -> tuple[Graph, Rows]:
    graph = Graph()
    prompts = graph("PromptSet", prompts="garden scene")
    scene = graph("ExampleScene", scene="garden")
    detector = graph("LoadDetector", model="starter emoji detector")
    segmenter = graph("LoadSegmenter", model="starter emoji segmenter")
    score = graph(
        "ScorePrompt", images=scene, detector=detector, metadata=prompts, segmenter=segmenter,
        also_ask="cat, fox, panda, pig, frog, heart", name="garden scene",
    )  # fmt: skip
    return graph, {
        "PromptSet": ((graph.shot(prompts),),),
        "ScorePrompt": ((graph.images(scene), graph.shot(score)),),
    }


def _diagnosis() -> tuple[Graph, Rows]:
    graph = Graph()
    extractor = classifier(graph)
    gan = condition(graph, load(graph, "stylegan2"), "*")
    real = condition(graph, load(graph, "vae"), "*")
    seen = sample(graph, real, 64)
    diagnosed = graph("DiagnoseGenerator", generator=gan, extractor=extractor, num_images=64, seed=0, images=seen)
    return graph, {"DiagnoseGenerator": ((graph.images(diagnosed),), (graph.shot(diagnosed),))}
