"""Questions about Generator from Checkpoint that only ComfyUI's own samplers can answer; run by ComfyUI's Python.

    python sampling_probes.py CHECKOUT BASE_FOLDER

Prints one JSON object {probe: answer}. MODEL and VAE are ComfyUI's own classes with few channels and random weights.
"""

import json
import sys
import traceback
from pathlib import Path

CHECKOUT, BASE = Path(sys.argv[1]), Path(sys.argv[2])
sys.argv = [str(CHECKOUT / "main.py"), "--cpu", "--base-directory", str(BASE), "--preview-method", "latent2rgb"]
sys.path[0] = str(CHECKOUT)

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import utils.extra_config  # noqa: E402, F401  (before `nodes`, which hides this package)

# isort: split
import comfy.latent_formats  # noqa: E402
import comfy.model_management as management  # noqa: E402
import comfy.sd  # noqa: E402
import comfy.supported_models  # noqa: E402
import comfy.utils  # noqa: E402
import torch  # noqa: E402
from comfy.model_patcher import ModelPatcher  # noqa: E402
from comfy.taesd.taesd import TAESD  # noqa: E402

import nodes  # noqa: E402

# isort: split
from trilemma import host  # noqa: E402
from trilemma.host.sampling import BATCHED  # noqa: E402
from trilemma.models.errors import BadInput, CannotDo  # noqa: E402
from trilemma.models.generators import binding  # noqa: E402
from trilemma.nodes.generate import SampleImages  # noqa: E402
from trilemma.nodes.generate_sources import GeneratorFromCheckpoint  # noqa: E402
from trilemma.tests.closeness import is_close  # noqa: E402

SIDE, STEPS, CFG, SEED = 32, 3, 3.0, 2**63 + 11


def filled(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    """ComfyUI leaves weights as they lie in memory until a file fills them."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        scale = 0.7 / max(1, parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.1
        parameter.data = torch.randn(parameter.shape, generator=generator) * scale
    return network


def tiny_model(latent_format=None) -> ModelPatcher:
    """The UNet of Stable Diffusion 1.x with 32 and 64 channels."""
    config = comfy.supported_models.SD15(
        {
            "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32, "num_res_blocks": [1, 1],
            "channel_mult": [1, 2], "transformer_depth": [1, 1], "transformer_depth_output": [1, 1, 1, 1],
            "transformer_depth_middle": 1, "context_dim": 16, "use_spatial_transformer": True,
            "use_linear_in_transformer": False, "adm_in_channels": None, "legacy": False,
        }
    )  # fmt: skip
    config.set_inference_dtype(torch.float32, None)
    if latent_format is not None:
        config.latent_format = latent_format
    model = filled(config.get_model({}), 0)
    return ModelPatcher(model, management.get_torch_device(), management.unet_offload_device())


MODEL = tiny_model()
VAE = comfy.sd.VAE(sd=filled(TAESD(latent_channels=4), 1).state_dict())
POSITIVE, NEGATIVE = [[[torch.randn(1, 7, 16, generator=torch.Generator().manual_seed(seed)), {}]] for seed in (2, 3)]


def handle(sampler_name="euler", scheduler="normal", model=MODEL, positive=POSITIVE, side=SIDE, steps=STEPS):
    return GeneratorFromCheckpoint().run(
        model, positive, NEGATIVE, VAE, side, side, sampler_name, scheduler, steps, CFG
    )[0]  # fmt: skip


def drawn(held, count, batch_size, on_step=binding.quiet, first=0):
    memory = held.model.generator.memory_bytes(batch_size)
    with host.placed(held, memory=memory):
        batches = list(binding.sample(held.model, count, SEED, batch_size, on_step, first))
    return torch.cat([batch.images for batch in batches])


def by_the_host(sampler_name, seed, steps=STEPS, cfg=CFG, scheduler="normal"):
    """KSampler and VAE Decode, as in everybody's graph."""
    latent = {"samples": torch.zeros(1, 4, SIDE // 8, SIDE // 8)}
    latent = nodes.KSampler().sample(
        MODEL, seed, steps, cfg, sampler_name, scheduler, POSITIVE, NEGATIVE, latent, denoise=1.0
    )[0]  # fmt: skip
    return nodes.VAEDecode().decode(VAE, latent)[0]


def batches():
    """Largest difference of a picture in batches of 3 and of 1, and of two pictures from each other."""
    alone, together = drawn(handle(), 3, 1), drawn(handle(), 3, 3)
    return [(alone - together).abs().max().item(), (alone[0] - alone[1]).abs().max().item()]


def batched_latents():
    """The same of latents, for every sampler that runs batches and some of those that cannot."""
    names = [name for name in host.sampler_names() if name in BATCHED]
    answer = {}
    for name in (*names, "euler_ancestral", "lcm", "dpmpp_sde", "sa_solver"):
        denoise = host.checkpoint_sampler(MODEL, POSITIVE, NEGATIVE, VAE, SIDE, SIDE, name, "karras").denoise
        noise = torch.randn(2, 4, SIDE // 8, SIDE // 8, generator=torch.Generator().manual_seed(4))
        settings = (STEPS, CFG, binding.quiet)
        alone = [denoise(noise[[i]], [SEED + i], *settings) for i in range(2)]
        together = denoise(noise, [SEED, SEED + 1], *settings)
        spread = (alone[0] - alone[1]).abs().max().item()
        answer[name] = [name in BATCHED, (torch.cat(alone) - together).abs().max().item(), spread]
    return answer


def step_noise_follows_the_seed():
    """From the same noise: an ancestral sampler tells seeds apart, others do not."""
    answer = {}
    for name in ("euler", "euler_ancestral"):
        denoise = host.checkpoint_sampler(MODEL, POSITIVE, NEGATIVE, VAE, SIDE, SIDE, name, "karras").denoise
        first, second = denoise(torch.ones(2, 4, SIDE // 8, SIDE // 8), [1, 2], STEPS, CFG, binding.quiet)
        answer[name] = (first - second).abs().max().item()
    return answer


def parity():
    """Difference from the host's own nodes, per sampler."""
    names = ("euler", "euler_ancestral", "dpmpp_2m_sde", "ddim")
    return {name: (drawn(handle(name), 1, 1) - by_the_host(name, SEED)).abs().max().item() for name in names}


def schedulers():
    """Shapes for every schedule, some of which have more or fewer steps than asked for."""
    answer = {}
    for name in host.scheduler_names():
        seen = []
        images = drawn(handle(scheduler=name), 1, 1, lambda done, preview, seen=seen: seen.append(done))
        answer[name] = [list(images.shape), bool(torch.isfinite(images).all()), max(seen)]
    return answer


def sampled_by_the_node():
    """Through Sample Images: the same pictures, and what their records say."""
    images, records = SampleImages().run(handle("euler_ancestral"), 2, SEED, batch_size=2)["result"]
    (first, second) = json.loads(records)
    same = (images - drawn(handle("euler_ancestral"), 2, 2)).abs().max().item()
    return [same, first["architecture"], first["settings"], second["seed"] - first["seed"]]


def largest_seed():
    request = binding.noise.requests(1, 2**64 - 1, [binding.Condition()])
    generator = handle("euler_ancestral").model.generator
    return list(generator.draw(request, generator.descriptor.options, binding.quiet).shape)


def first_samples_are_skipped():
    held = handle("euler_ancestral")
    return is_close(drawn(held, 3, 1)[2:], drawn(held, 1, 1, first=2))


def options():
    held = handle()
    changed = held._replace(model=held.model.with_options("diffusion", {"steps": 2, "guidance_scale": 1.5}))
    difference = (drawn(changed, 1, 1) - by_the_host("euler", SEED, steps=2, cfg=1.5)).abs().max().item()
    return [difference, binding.total_steps(changed.model, 5), binding.total_steps(held.model, 5)]


def latents():
    """Noise and back: the same picture, and ways between."""
    generator = handle().model.generator
    settings = generator.descriptor.options
    requests = binding.noise.requests(2, SEED, [binding.Condition()])
    start = generator.latents(requests, settings)
    same = is_close(generator.decode(start, requests, settings), generator.draw(requests, settings, binding.quiet))
    halves = [start._replace(values=start.values[:1]), start._replace(values=start.values[1:])]
    way = generator.interpolate(*halves, [0.0, 0.5, 1.0])
    return [same, list(way.values.shape), (way.values[[0, 2]] - start.values).abs().max().item()]


def progress():
    """Bar and previews that reach the host, for a sampler that runs batches and one that cannot."""
    answer = {}
    for name in ("euler", "euler_ancestral"):
        events = []
        comfy.utils.set_progress_bar_global_hook(
            lambda value, total, preview, events=events, **_: events.append([value, total, preview and preview[1].size])
        )
        held = handle(name, steps=10)
        steps = []
        with host.progress(binding.total_steps(held.model, 2)) as on_step:

            def count(done, preview, steps=steps, on_step=on_step):
                steps.append(done)
                on_step(done, preview)

            drawn(held, 2, 2, count)
        comfy.utils.set_progress_bar_global_hook(None)
        answer[name] = {"steps": steps, "events": events}
    return answer


def interrupts():
    answer = {}
    for name in ("euler", "euler_ancestral"):
        held, steps = handle(name, steps=10), []
        with host.progress(10) as on_step:

            def stop(done, preview, steps=steps, on_step=on_step):
                steps.append(done)
                if done == 3:
                    host.interrupt()
                on_step(done, preview)

            try:
                drawn(held, 1, 1, stop)
            except management.InterruptProcessingException:
                answer[name] = steps
    return answer


def nothing_is_evicted():
    """A device that is full: placing this generator unloads nobody."""
    real = management.get_torch_device, management.get_free_memory, management.vram_state
    management.get_torch_device = lambda: torch.device("cpu:0")
    management.get_free_memory = lambda device=None, torch_free_too=False: (1e12, 1e12) if torch_free_too else 1e12
    management.vram_state = management.VRAMState.NORMAL_VRAM
    try:
        network = torch.nn.Linear(512, 512)
        other = host.hold(network, [network])
        with host.placed(other, memory=0):
            pass
        management.get_free_memory = lambda device=None, torch_free_too=False: (0, 0) if torch_free_too else 0
        with host.placed(handle(), memory=2**40):
            return other.patchers[0].loaded_size() == other.patchers[0].model_size()
    finally:
        management.unload_all_models()
        management.get_torch_device, management.get_free_memory, management.vram_state = real


def identities():
    """Different for other weights, conditioning and settings, and the same while a patched clone is loaded."""
    first = handle().model.generator.identity
    patched = MODEL.clone()
    weight = "diffusion_model.out.2.weight"
    patched.add_patches({weight: ("diff", (torch.ones_like(MODEL.model.state_dict()[weight]),))})
    held = handle(model=patched)
    differs = (drawn(held, 1, 1) - drawn(handle(), 1, 1)).abs().max().item()
    drawn(held, 1, 1)
    again = [handle().model.generator.identity, handle(model=patched).model.generator.identity]
    others = [handle("heun"), handle(positive=NEGATIVE), handle(scheduler="simple")]
    identities = [first, held.model.generator.identity, *(other.model.generator.identity for other in others)]
    return {"different": len(set(identities)), "same": again == identities[:2], "patched": differs}


def descriptor():
    described = handle().model.generator.descriptor
    networks = (MODEL.model, VAE.first_stage_model)
    return {
        "architecture": described.architecture,
        "family": described.family,
        "parameters": described.parameters == sum(p.numel() for network in networks for p in network.parameters()),
        "latent_shape": described.latent_shape,
        "options": described.options,
        "memory": [handle("euler").model.generator.memory_bytes(n) > 0 for n in (1, 8)],
    }


def video_latents():
    """A format with frames, and more channels: one frame is made."""
    return handle(model=tiny_model(comfy.latent_formats.Wan21())).model.generator.descriptor.latent_shape


def refusals():
    answer = []
    for kind, arguments in (
        (CannotDo, {"model": tiny_model(comfy.latent_formats.StableAudio1())}),
        (BadInput, {"side": 100}),
        (CannotDo, {"positive": [[torch.randn(2, 7, 16), {}]]}),
    ):
        try:
            handle(**arguments)
        except kind as error:
            answer.append(str(error))
    return answer


def lists():
    inputs = GeneratorFromCheckpoint.INPUT_TYPES()["required"]
    mine = inputs["sampler_name"][0], inputs["scheduler"][0]
    theirs = nodes.KSampler.INPUT_TYPES()["required"]
    return mine == (list(theirs["sampler_name"][0]), list(theirs["scheduler"][0]))


def answer(probe):
    try:
        # As in a prompt.
        with torch.inference_mode():
            return probe()
    except Exception:
        return traceback.format_exc()


PROBES = (
    batches, batched_latents, step_noise_follows_the_seed, parity, schedulers, sampled_by_the_node, largest_seed,
    first_samples_are_skipped, options, latents, progress, interrupts, nothing_is_evicted, identities, descriptor,
    video_latents, refusals, lists,
)  # fmt: skip
print(json.dumps({probe.__name__: answer(probe) for probe in PROBES}))
