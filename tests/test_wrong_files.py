"""A loader that is given a file of another kind says what it is and where it belongs."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from trilemma.models.detection.loading import DETECTORS
from trilemma.models.diffusion.adapters.controlnet import CONTROLNETS
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files import groups, signatures, usual_names
from trilemma.models.files.checkpoints import Checkpoint
from trilemma.models.files.folders import read_model
from trilemma.models.generators.diffusion.classifiers import CLASSIFIERS
from trilemma.models.generators.loading import GENERATORS
from trilemma.models.inpainting.loading import INPAINTERS
from trilemma.models.scoring.extractors.loading import EXTRACTORS
from trilemma.models.segmentation.loading import SEGMENTERS

REGISTRIES = (DETECTORS, SEGMENTERS, INPAINTERS, GENERATORS, EXTRACTORS, CONTROLNETS, CLASSIFIERS)
FOREIGN = Path(__file__).parent / "fixtures" / "foreign_names.json"
"""Names in published files of other kinds, as `usual_names.json` keeps names."""
WORDS = {
    "attngan_text": "DAMSM",
    "attngan": "AttnGAN",
    "biggan": "BigGAN",
    "controlnet": "ControlNet",
    "dalle": "DALL-E",
    "denoising_diffusion_gan": "denoising diffusion GAN",
    "df_gan": "DF-GAN",
    "dm_gan": "DM-GAN",
    "glide": "GLIDE",
    "groundingdino": "Grounding DINO",
    "guided_diffusion_64x64_classifier": "classifier",
    "guided_diffusion": "ADM",
    "hq_sam": "HQ-SAM",
    "igpt": "ImageGPT",
    "kohya_lora": "LoRA",
    "latent_diffusion_txt2img_small_text": "text encoder of a latent",
    "latent_diffusion_txt2img_small_unet": "diffusion U-Net",
    "latent_diffusion_txt2img": "LDM",
    "mindalle_stage1": "VQGAN",
    "mindalle": "minDALL-E",
    "mnist_small_lenet": "LeNet",
    "mobile_sam": "MobileSAM",
    "ssa_gan": "SSA-GAN",
    "stackgan": "StackGAN",
    "stylegan1": "StyleGAN1",
    "stylegan2_ada_small_D": "StyleGAN2 discriminator",
    "stylegan3": "StyleGAN3",
    "taming_gpt": "transformer of taming",
    "taming_vqgan": "VQGAN of taming",
}
"""What each of them must be called."""
READ = {
    ("attngan", "generator"),
    ("biggan_deep", "generator"),
    ("denoising_diffusion_gan", "generator"),
    ("df_gan", "generator"),
    ("dm_gan", "generator"),
    ("glide", "generator"),
    ("glide", "inpainter"),
    ("groundingdino", "detector"),
    ("guided_diffusion", "generator"),
    ("guided_diffusion_64x64_classifier", "classifier"),
    ("guided_diffusion_small_classifier", "classifier"),
    ("guided_diffusion_128x128_diffusion", "generator"),
    ("guided_diffusion_256x256_diffusion_uncond", "generator"),
    ("guided_diffusion_small_a", "generator"),
    ("guided_diffusion_small_b", "generator"),
    ("hq_sam_vit_b", "segmenter"),
    ("hq_sam_vit_tiny", "segmenter"),
    ("mobile_sam", "segmenter"),
    ("controlnet_sd15_diffusers", "controlnet"),
    ("controlnet_sd15_original", "controlnet"),
    ("dalle_dvae_decoder", "generator"),
    ("dalle_dvae_encoder", "generator"),
    ("igpt_openai_small", "generator"),
    ("latent_diffusion_txt2img", "generator"),
    ("mindalle", "generator"),
    ("mindalle_small", "generator"),
    ("mindalle_stage1", "generator"),
    ("mnist_small_lenet", "extractor"),
    ("ssa_gan", "generator"),
    ("stackgan_v2", "generator"),
    ("taming_vqgan_f16_1024", "generator"),
    ("taming_vqgan_gumbel_f8", "generator"),
    ("stylegan1_genforce_256", "generator"),
    ("stylegan1_lernapparat_small", "generator"),
    ("stylegan1_rosinality_g_running", "generator"),
    ("stylegan3_r_full_ffhq1024", "generator"),
}
"""The pack reads these, all others are of no use to the loader."""
SD = "model.diffusion_model."
SKELETONS = {
    "an inpaint head of Fooocus": ["head"],
    "a LoRA": ["lora_unet_down_blocks_0.lora_down.weight"],
    "a LoRA ": ["base_model.model.down_blocks.0.attn1.to_q.lora_A.weight"],
    "a textual inversion": ["emb_params"],
    "a textual inversion ": ["clip_g", "clip_l"],
    "a T2I-Adapter": ["adapter.body.0.resnets.0.block1.weight", "adapter.conv_in.weight"],
    "an IP-Adapter": ["image_proj.proj.weight", "ip_adapter.1.to_k_ip.weight"],
    "an upscaler (ESRGAN)": ["conv_first.weight", "body.0.rdb1.conv1.weight"],
    "an upscaler (ESRGAN) ": ["model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"],
    "an upscaler (a transformer": ["conv_first.weight", "layers.0.residual_group.blocks.0.norm1.weight"],
    "a Grounding DINO of mmdetection": ["language_model.language_backbone.body.model.embeddings.x", "bbox_head.a"],
    "a StyleGAN2 generator in the layout of rosinality": ["style.1.weight", "conv1.conv.modulation.weight"],
    "a FastGAN": ["init.init.0.weight_orig", "se_64.main.1.weight_orig"],
    "a BigGAN": ["linear.weight", "blocks.0.0.conv1.weight"],
    "a DiT": ["x_embedder.proj.weight", "blocks.0.adaLN_modulation.1.weight"],
    "an EDM": ["model.map_layer0.weight", "model.enc.32x32_conv.weight"],
    "a Flux": ["double_blocks.0.img_attn.qkv.weight"],
    "a Stable Diffusion 2": [f"{SD}input_blocks.0.0.weight", "cond_stage_model.model.token_embedding.weight"],
    "a Stable Diffusion XL": ["conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight"],
    "a Stable Diffusion 3": [f"{SD}joint_blocks.0.x_block.attn.qkv.weight"],
    "a CLIP text encoder": ["text_model.embeddings.token_embedding.weight"],
    "a T5": ["encoder.block.0.layer.0.SelfAttention.q.weight"],
    "an Inception-v3 of torchvision": ["Mixed_5b.branch1x1.conv.weight", "AuxLogits.conv0.conv.weight"],
    "an EDM ": ["module.model.map_layer0.weight", "module.model.dec.x.weight"],
}

PROMPTLESS = {
    "a LaMa": ["generator.model.1.bn_l.running_mean", "generator.model.5.conv1.ffc.convg2g.fu.bn.weight"],
    "a LaMa ": ["model.model.1.bn_l.running_mean", "model.model.5.conv1.ffc.convg2g.fu.bn.weight"],
    "a MAT": ["synthesis.first_stage.conv_first.conv.resample_filter", "synthesis.first_stage.tran.0.blocks.0.x"],
    "a MAT ": ["model.synthesis.first_stage.conv_first.conv.resample_filter", "model.synthesis.first_stage.tran.0.x"],
}
"""The beginnings of files that an inpainter is read from."""
DRAWN = ("a StyleGAN2 generator in the layout of rosinality", "a DiT", "an EDM")
"""Those that only draw."""
WHOLE = ("a Stable Diffusion 2", "a Stable Diffusion XL", *DRAWN)
"""Those that are read where they are whole."""


def of_names(names):
    tensors = {name: torch.empty(4, 4, device="meta") for name in names}
    return Checkpoint(groups.stripped(tensors), {}, path=Path("x.pth"))


def asked(checkpoint):
    """What each loader says: the family that claims it, or the message."""
    said = {}
    for registry in REGISTRIES:
        try:
            said[registry.kind] = registry.claiming(checkpoint, "x.pth")[0]
        except BadCheckpoint as error:
            said[registry.kind] = str(error)
    return said


@pytest.mark.slow
@pytest.mark.parametrize("system", json.loads(FOREIGN.read_text()))
def test_every_loader_knows_published_files_of_other_kinds(system):
    checkpoint = of_names(usual_names.names_of(json.loads(FOREIGN.read_text())[system]))
    word = next(word for start, word in WORDS.items() if system.startswith(start))
    for kind, said in asked(checkpoint).items():
        if isinstance(said, str):
            what, where = said.split(", but " if "looks like" in said else "; ", 1)
            assert word in what
            assert "models/" in where or "nor ComfyUI loads it; " in where or "folder with its config.json" in what, (
                kind
            )
        else:
            assert (system, kind) in READ


@pytest.mark.parametrize(("what", "names"), SKELETONS.items())
def test_every_loader_knows_what_users_mistake_for_its_files(what, names):
    for kind, said in asked(of_names(names)).items():
        assert isinstance(said, str), kind
        read = what.strip() in WHOLE and kind in ("generator", *(() if what.strip() in DRAWN else ("inpainter",)))
        assert f"{'looks like' if read else 'holds'} {what.strip()}" in said


@pytest.mark.parametrize(("what", "names"), PROMPTLESS.items())
def test_every_loader_knows_inpainters_without_words(what, names):
    for kind, said in asked(of_names(names)).items():
        if kind == "inpainter":
            assert said.name == what.strip().removeprefix("a ")
        else:
            assert f"holds {what.strip()} inpainter; it belongs into models/inpaint, for Load Inpainter" in said


@pytest.mark.slow
@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_the_files_of_every_family_are_known(registry, tmp_path):
    """By name, whoever is asked."""
    for number, family in enumerate(registry.families):
        folder = tmp_path / str(number)
        folder.mkdir()
        checkpoint = read_model(family.tiny(folder))
        if checkpoint.config:
            continue
        found = signatures.recognise(checkpoint.tensors)
        assert found is not None and registry.kind in found.readers, family.name


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_a_refusal_takes_no_time(registry, tmp_path):
    """No network is built for it, and no library imported: it was 14 to 60 s."""
    torch.save({"a.weight": torch.zeros(2, 2)}, tmp_path / "x.pth")
    begun = time.process_time()
    with pytest.raises(BadCheckpoint, match="shares no tensor"):
        registry.load(tmp_path / "x.pth")
    assert time.process_time() - begun < 2
