"""Pictures of the nodes that draw, by the starter generators."""

from __future__ import annotations

from collections.abc import Mapping

from .graph import Graph, Node, Output, Part, Picture

ANIMALS = "cat\nfox\npanda\ntiger"
EIGHT = "dog\nfox\ntiger\nfrog\npenguin\nstrawberry\nrocket\nsun"

Rows = dict[str, tuple[tuple[Part, ...], ...]]


def pictures() -> dict[str, Picture]:
    graphs = (_families(), _options(), _latents(), _directions(), _critics(), _features(), _folders())
    return {name: Picture(graph, rows) for graph, found in graphs for name, rows in found.items()}


def load(graph: Graph, name: str) -> Node:
    return graph("LoadGenerator", model=f"starter emoji {name}")


def condition(graph: Graph, generator: Output, text: str = ANIMALS) -> Node:
    return graph("Condition", generator=generator, text=text)


def sample(graph: Graph, generator: Output, count: int = 4, seed: int = 0) -> Node:
    return graph("SampleImages", generator=generator, num_images=count, seed=seed)


def grid(graph: Graph, rows: Mapping[str, Output], columns: str = "") -> Part:
    """Batches as labelled rows of one picture."""
    batches = {f"images_{number}": batch for number, batch in enumerate(rows.values(), 1)}
    wide = len(columns.splitlines())
    return graph.images(graph("ImageGrid", labels="\n".join(rows), column_labels=columns, columns=wide, **batches))


def _families() -> tuple[Graph, Rows]:
    graph = Graph()
    names = {"VAE": "vae", "VQ-VAE": "vqvae transformer", "GAN": "stylegan2", "diffusion": "ddpm"}
    loaded = {label: load(graph, name) for label, name in names.items()}
    eight = {label: condition(graph, loader, EIGHT) for label, loader in loaded.items()}
    drawn = {label: sample(graph, generator, 8) for label, generator in eight.items()}
    save = graph("SaveSamples", images=drawn["GAN"], records=drawn["GAN"][1], filename_prefix="samples/gan")
    stages = graph(
        "ShowStages", num_images=2, seed=100,
        generator=condition(graph, load(graph, "ssa gan"), "a fox on blue ground\na bee on pink ground"),
    )  # fmt: skip
    animals = condition(graph, loaded["VQ-VAE"])
    begun = sample(graph, animals, 4, 11)
    completed = graph("CompleteImage", generator=animals, image=begun, num_images=4, seed=3)
    vae = graph("Reconstruct", generator=loaded["VAE"], image=drawn["diffusion"])
    sharp = graph("ScoreSharpness", images=vae, reference=drawn["diffusion"], name="VAE")
    return graph, {
        "LoadGenerator": ((grid(graph, drawn, EIGHT),),),
        "Condition": ((graph.shot(eight["GAN"]),), (grid(graph, {"": drawn["GAN"]}, EIGHT),)),
        "SampleImages": ((graph.shot(drawn["GAN"]),),),
        "SaveSamples": ((graph.images(drawn["GAN"], count=8, columns=4), graph.shot(save)),),
        "ShowStages": ((graph.images(stages[2]),),),
        "CompleteImage": (
            (graph.images(begun, count=4, columns=1), graph.images(completed, count=16, columns=4)),
        ),
        "Reconstruct": ((grid(graph, {"original": vae[1], "through the VAE": vae}, EIGHT),), (graph.shot(vae),)),
        "ScoreSharpness": (
            (grid(graph, {"reference": drawn["diffusion"], "images": vae}),), (graph.shot(sharp),)
        ),
        "ImageGrid": ((graph.images(drawn["VAE"], count=8, columns=4), grid(graph, drawn, EIGHT)),),
    }  # fmt: skip


def _options() -> tuple[Graph, Rows]:
    """One option per row, at a small, a usual and a large value."""
    graph = Graph()

    def rows(option: str, model: str, label: str, values: tuple[float, ...], **inputs: float) -> Part:
        name, key = option.split(".")
        generator = condition(graph, load(graph, model), EIGHT)
        set_to = {value: graph(name, generator=generator, **inputs, **{key: value}) for value in values}
        return grid(graph, {f"{label} {value}": sample(graph, one, 8) for value, one in set_to.items()}, EIGHT)

    return graph, {
        "GANOptions": ((rows("GANOptions.truncation_psi", "stylegan2", "psi", (0.0, 0.5, 1.0)),),),
        "VAEOptions": ((rows("VAEOptions.temperature", "vae", "temperature", (0.2, 1.0, 2.0)),),),
        "AutoregressiveOptions": (
            (rows("AutoregressiveOptions.temperature", "vqvae transformer", "temperature", (0.3, 1.0, 2.0)),),
        ),
        "DiffusionOptions": ((rows("DiffusionOptions.steps", "ddpm", "steps", (2, 5, 25)),),),
    }


def _latents() -> tuple[Graph, Rows]:
    graph = Graph()
    gan = graph("GANOptions", generator=load(graph, "stylegan2"), noise_mode="const")
    four = condition(graph, gan)
    walk = graph("Interpolate", generator=four, frames=7, seeds="1, 2")
    mix = graph("StyleMix", generator=condition(graph, gan, "panda"), coarse_seeds="1, 2, 3", fine_seeds="4, 5, 6")
    cats = condition(graph, gan, "cat")
    latents = graph("DrawLatents", generator=cats, num_latents=4, seed=2)
    vae = load(graph, "vae")
    given = sample(graph, condition(graph, load(graph, "ddpm")), 4, 3)
    encoded = graph("EncodeLatent", generator=vae, image=given)
    decoded = graph("DecodeLatent", generator=vae, latent=encoded)
    shown = graph("DecodeLatent", generator=cats, latent=latents)
    projected = graph(
        "ProjectImage",
        generator=cats,
        image=sample(graph, condition(graph, load(graph, "ddpm"), "cat"), 1, 3),
        steps=150,
    )
    return graph, {
        "Interpolate": ((graph.images(walk, count=7),), (graph.shot(walk),)),
        "StyleMix": ((graph.images(mix, count=9, columns=3),),),
        "DrawLatents": ((graph.shot(latents, shown),), (graph.images(shown, count=4),)),
        "EncodeLatent": ((graph.images(given, count=2), graph.images(decoded, count=2)),),
        "DecodeLatent": ((graph.shot(encoded, decoded),), (graph.images(decoded, count=4),)),
        "ProjectImage": ((graph.images(projected[2]), graph.images(projected[1])), (graph.shot(projected),)),
    }


def _directions() -> tuple[Graph, Rows]:
    graph = Graph()
    gan = graph("GANOptions", generator=load(graph, "stylegan2"), noise_mode="const")
    cat = condition(graph, gan, "cat")
    latent = graph("DrawLatents", generator=cat, seed=2)
    sefa = graph("LatentDirections", generator=gan, method="sefa", count=5)
    fine = graph("LatentDirections", generator=gan, method="sefa", count=5, layers="4-7")
    save = graph("SaveDirections", directions=fine, file="directions/fine.safetensors")
    again = graph("LoadDirections", generator=gan, location="output", file=save[1])

    def walk(directions: Output, direction: str, strengths: str = "-6, -3, 0, 3, 6") -> tuple[Node, Node]:
        edit = graph(
            "EditLatent", generator=cat, latent=latent, directions=directions, direction=direction, strengths=strengths
        )
        return edit, graph("DecodeLatent", generator=cat, latent=edit)

    edit, edited = walk(sefa, "sefa 1")
    rows = {"sefa 1": edited, "sefa 2": walk(sefa, "sefa 2")[1], "sefa 3": walk(sefa, "sefa 3")[1]}
    return graph, {
        "LatentDirections": ((grid(graph, rows, "-6\n-3\n0\n3\n6"),),),
        "EditLatent": ((graph.images(edited, count=5),), (graph.shot(edit),)),
        "SaveDirections": ((graph.shot(fine, save),),),
        "LoadDirections": ((graph.shot(again),), (graph.images(walk(again, "sefa 2")[1], count=5),)),
    }


def _critics() -> tuple[Graph, Rows]:
    graph = Graph()
    classifier = graph("LoadFeatureExtractor", model="starter emoji classifier", resize="TF1")
    blind = graph("DiffusionOptions", generator=condition(graph, load(graph, "ddpm"), "(none)"), guidance_scale=1.0)
    every = graph("ClassCritic", extractor=classifier, classes="*")
    given = sample(graph, condition(graph, load(graph, "stylegan2"), "panda\nrocket"), 2, 1)
    panda = graph.core("ImageFromBatch", image=given, batch_index=0, length=1)
    like = graph("ImageCritic", images=panda, extractor=classifier)
    style = graph("StyleCritic", images=given, extractor=classifier)
    plain = sample(graph, blind, 4)

    def guided(critic: Output, strength: float) -> tuple[Node, Node]:
        guide = graph("GuideGenerator", generator=blind, critic=critic, strength=strength)
        return guide, sample(graph, guide, 4)

    guide, strong = guided(every, 10.0)
    weak = guided(every, 3.0)[1]
    names = "dog\ncat\nfox\npanda"
    return graph, {
        "GuideGenerator": (
            (grid(graph, {"strength 0": plain, "strength 3": weak, "strength 10": strong}, names),),
            (graph.shot(guide),),
        ),
        "ClassCritic": ((graph.shot(every),), (graph.images(strong, count=4),)),
        "ImageCritic": ((graph.images(panda), graph.images(guided(like, 10.0)[1], count=4)),),
        "StyleCritic": (
            (graph.images(given, count=2), graph.images(guided(style, 30.0)[1], count=4)),
        ),
    }  # fmt: skip


def _features() -> tuple[Graph, Rows]:
    graph = Graph()
    classifier = graph("LoadFeatureExtractor", model="starter emoji classifier", resize="TF1")
    prior = graph("AutoregressiveOptions", generator=load(graph, "vqvae features"), temperature=0.8, top_p=0.9)
    given = sample(graph, condition(graph, load(graph, "ddpm"), "cat\nrocket\npizza\npanda"), 4, 5)
    alike = graph("ConditionOnFeatures", generator=prior, images=given, extractor=classifier)
    drawn = sample(graph, alike, 12, 100)
    return graph, {
        "ConditionOnFeatures": (
            (grid(graph, {"given": given, "drawn": drawn}, "cat\nrocket\npizza\npanda"),),
            (graph.shot(alike),),
        ),
    }


def _folders() -> tuple[Graph, Rows]:
    graph = Graph()
    classifier = graph("LoadFeatureExtractor", model="starter emoji classifier", resize="TF1")
    drawn = sample(graph, condition(graph, load(graph, "stylegan2"), "*"), 48)
    save = graph("SaveSamples", images=drawn, records=drawn[1], filename_prefix="folder/sample")
    index = graph("IndexFolder", location="output", folder=save[1], extractor=classifier)
    query = sample(graph, condition(graph, load(graph, "vqvae transformer"), "cat\nfox\npanda\npumpkin"), 4, 0)
    nearest = graph("FindNearestImages", index=index, image=query, count=4)
    loaded = graph("LoadImages", location="output", path=save[1], count=12)
    folder = graph(
        "ImagesAsGenerator", location="output", folder=save[1], order="shuffled", width=0, height=0, resize="none"
    )
    return graph, {
        "IndexFolder": ((graph.images(drawn, count=48, columns=16),), (graph.shot(index),)),
        "FindNearestImages": ((graph.images(query, count=4, columns=1), graph.images(nearest, count=16, columns=4)),),
        "LoadImages": ((graph.shot(loaded, width=340),), (graph.images(loaded, count=12, columns=6),)),
        "ImagesAsGenerator": ((graph.shot(folder),), (graph.images(sample(graph, folder, 8), count=8),)),
    }
