"""DiT: its network, guidance and steps beside the numbers of its authors' code; files, folders, autoencoders."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from trilemma.models.diffusion import sampling, tiny
from trilemma.models.errors import BadCheckpoint, MissingFile
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.generators import binding, loading, noise
from trilemma.models.generators.base import NO_CLASS, Condition
from trilemma.models.generators.binding import Bound
from trilemma.models.generators.diffusion.adm.process import LINEAR, SpacedSampler, betas_of, respaced, spaced
from trilemma.models.generators.diffusion.dit import files
from trilemma.models.generators.diffusion.dit.generator import DiTGenerator
from trilemma.models.generators.diffusion.dit.network import DiT
from trilemma.models.generators.vae import autoencoder_kl
from trilemma.models.random_weights import random_weights
from trilemma.models.weights import empty_weights
from trilemma.tests import reference_kit
from trilemma.tests.closeness import assert_close

pytestmark = pytest.mark.slow

SYSTEM = "dit"
TRAINED = 1000


@pytest.fixture(scope="module")
def small():
    """The case, its inputs, and the generator of a file of it, with a random autoencoder."""
    case = reference_kit.case(SYSTEM, "golden_small")
    tensors = reference_kit.weights(case)
    network = DiT(files.sizes_of(tensors, {"num_heads": 4}, "x"))
    network.load_state_dict(tensors)
    vae = autoencoder_kl.of_widths((32, 32), 1).train(False)
    given = {name: torch.from_numpy(np.asarray(value)) for name, value in reference_kit.inputs(case).items()}
    return case, given, DiTGenerator(network, vae, 10, "x")


@torch.no_grad()
def test_it_answers_as_its_reference(small):
    """The network, with a class and without; guided; the Gaussians of the steps before."""
    case, given, generator = small
    x, times, labels = given["x"], given["t"], given["y"]
    output = generator.network(x, times, labels)
    whole = SpacedSampler(betas_of(LINEAR, TRAINED), range(TRAINED), ancestral=True, clip=False)
    rows = [whole.moments(output[row : row + 1], int(times[row]), x[row : row + 1]) for row in (0, 1)]
    predict = generator._guided_by(generator._network(labels, (), True, 1), float(given["scale"]))
    guided = torch.cat([predict(x, times[row])[row : row + 1] for row in (0, 1)])
    answers = {
        "model_out": output,
        "without": generator.network(x, times, torch.tensor([10, 10])),
        "guided": guided,
        "p_mean": torch.cat([row.mean for row in rows]),
        "p_logvar": torch.cat([torch.as_tensor(row.log_variance) for row in rows]),
        "pred_xstart": torch.cat([row.foreseen for row in rows]),
    }
    print(reference_kit.compare(case, answers))


@torch.no_grad()
def test_whole_runs_are_its_reference_s(small):
    """Of six steps with fresh noise, respaced, and of five of DDIM, with guidance of the first three channels."""
    case, given, generator = small
    assert respaced(TRAINED, "6") == spaced(TRAINED, 6, "model's own", True) == given["timesteps"].tolist()
    assert respaced(TRAINED, "250") == given["timesteps_250"].tolist()
    answers = {}
    for name, changes in (
        ("p_sample_loop", {"steps": 6}),
        ("ddim_sample_loop", {"sampler": "DDIM", "respacing": "ddim5"}),
    ):
        schedule = generator._schedule({**generator.descriptor.options, **changes})
        predict = generator._fitted(generator._network(given["y"], (), True, 6), schedule)
        predict = generator._guided_by(predict, float(given["scale"]))
        generators = [torch.Generator().manual_seed(seed) for seed in given["seeds"].tolist()]
        start = schedule.start(given["start"])
        answers[name] = sampling.denoise(predict, schedule, start, generators, lambda calls, foreseen: None)
    print(reference_kit.compare(case, answers))


@pytest.mark.parametrize(("manifest", "side"), [("manifest.json", 32), ("manifest_512x512.json", 64)])
def test_every_tensor_of_the_published_files_is_known(manifest, side):
    entries = reference_kit.manifest(SYSTEM, manifest)
    tensors = {entry.name: torch.empty(entry.shape, device="meta") for entry in entries}
    checkpoint = Checkpoint(tensors, {})
    assert [each.name for each in loading.GENERATORS.families if each.detect(checkpoint)] == ["DiT"]
    sizes = files.sizes_of(tensors, {}, "x")
    assert (sizes.side, sizes.patch, sizes.depth, sizes.heads) == (side, 2, 28, 16)
    assert files.classes_of(sizes, {}, "x") == TRAINED
    with empty_weights():
        network = DiT(sizes)
    assert {name: value.shape for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in tensors.items()
    }


@pytest.fixture
def path(tmp_path):
    return files.tiny(tmp_path)


def pictures(generator, *texts, **options):
    conditions = tuple(map(Condition, texts)) or (Condition(),)
    bound = Bound(generator, {"steps": 2, **options}, conditions)
    return torch.cat([batch.images for batch in binding.sample(bound, 2, 7, 1)])


def test_conditions_count(path):
    generator = loading.load_generator(path)
    assert isinstance(generator, DiTGenerator)
    one = pictures(generator, "0")
    assert one.shape == (2, 16, 16, 3)
    for other in (
        pictures(generator, "1"),
        pictures(generator, "0", guidance_scale=1.0),
        pictures(generator, NO_CLASS),
    ):
        assert (other - one).abs().max() > 1e-4
    assert (pictures(generator, "0", sampler="Euler") - one).abs().max() > 1e-4


def test_a_training_s_file_is_read(path, tmp_path):
    """Its averaged weights; `train.py` saves the arguments of its command line too."""
    import argparse

    own = load_file(path)
    made = path.with_name("0400000.pt")
    content = {"model": random_weights(DiT(files.TINY), 5), "ema": own, "opt": {}, "args": argparse.Namespace(epochs=3)}
    torch.save(content, made)
    generator = loading.load_generator(made)
    assert generator.identity == loading.load_generator(path).identity
    assert any("EMA" in note for note in generator.notes)


def test_the_autoencoder_is_found(path, tmp_path):
    """A folder of diffusers or a file beside it, or one of Stability AI's where ComfyUI keeps them; ft-ema first."""
    single = path.with_name("tiny_vae.safetensors")
    assert files.vae_of(path) == single
    assert set(files.files(path)) == {path, single, path.with_name("config.json")}
    before = loading.load_generator(path).identity
    nested = tmp_path / "generators"
    nested.mkdir()
    for file in (path, path.with_name("config.json")):
        shutil.move(file, nested / file.name)
    moved = nested / path.name
    with pytest.raises(MissingFile, match="sd-vae-ft-ema"):
        loading.load_generator(moved)
    (tmp_path / "vae").mkdir()
    shutil.copy(single, tmp_path / "vae" / "flux_vae.safetensors")
    assert files.vae_of(moved) is None
    for name in ("vae-ft-mse-840000-ema-pruned.safetensors", "vae-ft-ema-560000-ema-pruned.safetensors"):
        shutil.copy(single, tmp_path / "vae" / name)
        assert files.vae_of(moved) == tmp_path / "vae" / name
    assert loading.load_generator(moved).identity == before
    vae = tiny.autoencoder()
    vae.register_to_config(scaling_factor=0.3)
    vae.save_pretrained(nested / "sd-vae-ft-mse")
    assert files.vae_of(moved) == nested / "sd-vae-ft-mse"
    generator = loading.load_generator(moved)
    assert isinstance(generator, DiTGenerator)
    assert generator.vae.config.scaling_factor == 0.3
    assert nested / "sd-vae-ft-mse" / "diffusion_pytorch_model.safetensors" in files.files(moved)


def test_what_does_not_fit_is_told(path):
    (path.parent / "config.json").write_text("{}")
    with pytest.raises(BadCheckpoint, match="num_heads, a number that divides 16"):
        loading.load_generator(path)
    (path.parent / "config.json").write_text(json.dumps({"num_heads": 2, "num_classes": 9}))
    with pytest.raises(BadCheckpoint, match="num_classes = 9"):
        loading.load_generator(path)
    (path.parent / "config.json").write_text(json.dumps({"num_heads": 2, "num_classes": 4}))
    generator = loading.load_generator(path)
    assert generator.descriptor.num_classes == 4
    assert "guidance_scale" not in generator.descriptor.options
    path.with_name("tiny_vae.safetensors").unlink()
    torch.save(random_weights(DiT(files.TINY)), path.with_name("vae.pt"))
    with pytest.raises(BadCheckpoint, match=r"vae\.pt beside it is no AutoencoderKL"):
        loading.load_generator(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of 1,000 classes, which diffusers' pipeline takes for granted; under the class that published ones name."""
    from diffusers import DiTTransformer2DModel

    transformer = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        out_channels=8,
        num_layers=2,
        sample_size=8,
        num_embeds_ada_norm=1000,
    )
    scheduler = {"_class_name": "DDIMScheduler", "num_train_timesteps": 1000, "clip_sample": False}
    networks = {"transformer": transformer, "vae": tiny.autoencoder()}
    return tiny.write_pipeline(tmp_path_factory.mktemp("dit"), "DiTPipeline", scheduler, **networks)


@torch.no_grad()
@pytest.mark.parametrize("scale", [4.0, 1.0])
def test_folders_draw_as_diffusers_pipeline(folder, tmp_path, scale):
    from diffusers import DiTPipeline

    pipeline = DiTPipeline.from_pretrained(str(folder), local_files_only=True)
    copied = shutil.copytree(folder, tmp_path / "published")
    index = json.loads((copied / "model_index.json").read_text())
    index["transformer"] = ["diffusers", "Transformer2DModel"]
    (copied / "model_index.json").write_text(json.dumps(index))
    generator = loading.load_generator(copied)
    assert generator.descriptor.class_names[207] == "golden retriever"
    bound = Bound(generator, {"steps": 5, "guidance_scale": scale}, (Condition("207"), Condition("3")))
    ours = torch.cat([batch.images for batch in binding.sample(bound, 2, 7, 2)])
    generators = noise.generators(noise.requests(2, 7, bound.conditions))
    for each in generators:
        torch.randint(TRAINED, (1,), generator=each)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline([207, 3], scale, generators, num_inference_steps=5, output_type="np").images
    assert_close(ours, torch.from_numpy(theirs))


@torch.no_grad()
def test_diffusers_network_is_the_same_but_for_its_times(folder):
    """Its frequencies end one step later than the authors' do, which at time 0 does not count."""
    from diffusers import DiTTransformer2DModel

    theirs = DiTTransformer2DModel.from_pretrained(folder / "transformer").train(False)
    own = theirs.state_dict()
    embedding = "transformer_blocks.0.norm1.emb."
    for block in range(1, 2):  # the authors' has one embedding for all
        for name in [name for name in own if name.startswith(embedding)]:
            own[name.replace("blocks.0.", f"blocks.{block}.")].copy_(own[name])
    places = {
        "pos_embed.proj.": "x_embedder.proj.",
        f"{embedding}timestep_embedder.linear_1.": "t_embedder.mlp.0.",
        f"{embedding}timestep_embedder.linear_2.": "t_embedder.mlp.2.",
        f"{embedding}class_embedder.": "y_embedder.",
        "norm1.linear.": "adaLN_modulation.1.",
        "attn1.to_out.0.": "attn.proj.",
        "ff.net.0.proj.": "mlp.fc1.",
        "ff.net.2.": "mlp.fc2.",
        "transformer_blocks.": "blocks.",
        "proj_out_1.": "final_layer.adaLN_modulation.1.",
        "proj_out_2.": "final_layer.linear.",
    }
    made = {"pos_embed": theirs.pos_embed.pos_embed}
    for block in range(2):
        for kind in ("weight", "bias"):
            parts = [own[f"transformer_blocks.{block}.attn1.to_{part}.{kind}"] for part in "qkv"]
            made[f"blocks.{block}.attn.qkv.{kind}"] = torch.cat(parts)
    for name, value in own.items():
        if ".to_q." in name or ".to_k." in name or ".to_v." in name or (".emb." in name and "blocks.0." not in name):
            continue
        renamed = name
        for part, place in places.items():
            renamed = renamed.replace(part, place)
        made[renamed] = value
    ours = DiT(files.sizes_of(made, {"num_heads": 2}, "x"))
    ours.load_state_dict(made)
    latents, labels = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([1000, 5])
    times = torch.tensor([0, 0])
    assert_close(ours(latents, times, labels), theirs(latents, timestep=times, class_labels=labels).sample)
    times = torch.tensor([500, 500])
    far = ours(latents, times, labels) - theirs(latents, timestep=times, class_labels=labels).sample
    assert far.abs().max() > 0.01
