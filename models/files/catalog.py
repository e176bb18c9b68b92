"""Which model files exist: the starters that come with the pack, and the published ones that users fetch themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import MissingFile

Kind = Literal["detector", "segmenter", "inpainter", "generator", "extractor", "controlnet", "classifier"]

STARTER_ROOT = Path(__file__).parents[1] / "starter"

STARTERS: dict[Kind, dict[str, str]] = {
    "detector": {"starter emoji detector": "emoji_detector"},
    "segmenter": {"starter emoji segmenter": "emoji_segmenter"},
    "inpainter": {"starter emoji inpainter": "emoji_inpainter"},
    "generator": {
        "starter emoji vae": "emoji_vae",
        "starter emoji vqvae transformer": "emoji_vqvae_transformer",
        "starter emoji vqvae pixelcnn": "emoji_vqvae_pixelcnn",
        "starter emoji vqvae rowlstm": "emoji_vqvae_rowlstm",
        "starter emoji vqvae features": "emoji_vqvae_features",
        "starter emoji stylegan2": "emoji_stylegan2",
        "starter emoji ddgan": "emoji_ddgan",
        "starter emoji ssa gan": "emoji_ssa_gan",
        "starter emoji ddpm": "emoji_ddpm",
        "starter emoji latent diffusion": "emoji_inpainter",
    },
    "extractor": {"starter emoji classifier": "emoji_classifier"},
    "controlnet": {},
    "classifier": {},
}
"""Public names, for ever, of the models in `models/starter/`, and their folders."""

STARTER_LORAS: dict[str, str] = {
    "starter emoji penguin": "emoji_loras/penguin.safetensors",
    "starter emoji rocket": "emoji_loras/rocket.safetensors",
}
"""Public names, for ever, of the LoRAs of the starter inpainter, and their files below STARTER_ROOT."""

REFERENCES: dict[str, str] = {"starter emoji pictures": "emoji_classifier/reference.npz"}
"""Public names of the sets whose features come with the pack, and their files below STARTER_ROOT."""


LICENCES: dict[str, str] = {
    "github.com/IDEA-Research": "Apache-2.0",
    "huggingface.co/IDEA-Research": "Apache-2.0",
    "dl.fbaipublicfiles.com/segment_anything": "Apache-2.0",
    "huggingface.co/lkeab": "Apache-2.0",
    "github.com/ChaoningZhang": "Apache-2.0",
    "huggingface.co/stable-diffusion-v1-5": "CreativeML OpenRAIL-M",
    "huggingface.co/webui": "CreativeML OpenRAIL-M",
    "huggingface.co/stabilityai/stable-diffusion-3": "Stability AI Community License",
    "huggingface.co/stabilityai": "CreativeML OpenRAIL++-M",
    "github.com/Sanster/models/releases/download/add_big_lama": "Apache-2.0",
    "github.com/Sanster/models/releases/download/add_mat": "CC BY-NC 4.0",
    "openaipublic.blob.core.windows.net/diffusion": "MIT",
    "github.com/CompVis": "MIT",
    "s3.amazonaws.com/models.huggingface.co/biggan": "MIT",
    "github.com/taoxugit": "MIT",
    "github.com/MinfengZhu": "MIT",
    "github.com/tobran": "CC BY-NC-SA 4.0",
    "dl.fbaipublicfiles.com/DiT": "CC BY-NC 4.0",
    "nvlabs-fi-cdn.nvidia.com/edm": "CC BY-NC-SA 4.0",
    "github.com/NVlabs/denoising-diffusion-gan": "NVIDIA Source Code License, non-commercial",
    "huggingface.co/PixArt-alpha": "CreativeML OpenRAIL++-M",
    "huggingface.co/google": "Apache-2.0",
    "huggingface.co/DeepFloyd": "DeepFloyd IF License, non-commercial",
    "huggingface.co/zai-org": "Apache-2.0",
    "github.com/hanzhanggit": "MIT",
    "github.com/mseitzer": "Apache-2.0",
    "github.com/toshas": "Apache-2.0",
    "nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch": "NVIDIA Source Code License, non-commercial",
    "download.pytorch.org": "BSD-3-Clause",
    "dl.fbaipublicfiles.com/dinov2": "Apache-2.0",
    "huggingface.co/kakaobrain": "CreativeML Open RAIL-M",
    "huggingface.co/kandinsky-community": "Apache-2.0",
    "huggingface.co/amused": "CreativeML Open RAIL++-M",
    "huggingface.co/black-forest-labs/FLUX.1-schnell": "Apache-2.0",
    "huggingface.co/black-forest-labs/FLUX.1-dev": "FLUX.1 [dev] Non-Commercial License",
}
"""Of published files, by how the address begins; as their publishers state them, to be read there."""


@dataclass(frozen=True)
class PublishedFile:
    """A checkpoint as its authors publish it.

    name: of the file, or of a transformers folder. source: where it is published. bytes, sha256: size and hex digest
    of the file, or of the folder's model.safetensors; 0 and empty where its publisher does not tell them. folder: the
    model folder where users keep it, where that is not the first of its loader.
    """

    name: str
    source: str
    bytes: int = 0
    sha256: str = ""
    folder: str = ""

    @property
    def licence(self) -> str:
        """Empty where it is not known."""
        address = self.source.removeprefix("https://")
        return next((licence for start, licence in LICENCES.items() if address.startswith(start)), "")


PUBLISHED: dict[Kind, tuple[PublishedFile, ...]] = {
    "detector": (
        PublishedFile(
            name="groundingdino_swint_ogc.pth",
            source="https://github.com/IDEA-Research/GroundingDINO/releases/tag/v0.1.0-alpha",
            bytes=693_997_677,
            sha256="3b3ca2563c77c69f651d7bd133e97139c186df06231157a64c507099c52bc799",
        ),
        PublishedFile(
            name="groundingdino_swinb_cogcoor.pth",
            source="https://github.com/IDEA-Research/GroundingDINO/releases/tag/v0.1.0-alpha2",
            bytes=938_057_991,
            sha256="46270f7a822e6906b655b729c90613e48929d0f2bb8b9b76fd10a856f3ac6ab7",
        ),
        PublishedFile(
            name="grounding-dino-tiny",
            source="https://huggingface.co/IDEA-Research/grounding-dino-tiny, config.json and model.safetensors",
            bytes=689_359_096,
            sha256="1a2412ef99bd74bcd3c2a246fa1e48581f8889a1300c9051974741314fc042f3",
        ),
        PublishedFile(
            name="grounding-dino-base",
            source="https://huggingface.co/IDEA-Research/grounding-dino-base, config.json and model.safetensors",
            bytes=933_400_872,
            sha256="5548f844c928c4b6f411fa8cbcc2bfa8dbbba437cb1d513975519f93c2a9ed21",
        ),
    ),
    "segmenter": (
        PublishedFile(
            name="sam_vit_b_01ec64.pth",
            source="https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth",
            bytes=375_042_383,
            sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
        PublishedFile(
            name="sam_vit_l_0b3195.pth",
            source="https://dl.fbaipublicfiles.com/segment_anything/sam_vit_l_0b3195.pth",
            bytes=1_249_524_607,
            sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        ),
        PublishedFile(
            name="sam_vit_h_4b8939.pth",
            source="https://dl.fbaipublicfiles.com/segment_anything/sam_vit_h_4b8939.pth",
            bytes=2_564_550_879,
            sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        ),
        PublishedFile(
            name="sam_hq_vit_h.pth",
            source="https://huggingface.co/lkeab/hq-sam",
            bytes=2_570_940_653,
            sha256="a7ac14a085326d9fa6199c8c698c4f0e7280afdbb974d2c4660ec60877b45e35",
        ),
        PublishedFile(
            name="mobile_sam.pt",
            source="https://github.com/ChaoningZhang/MobileSAM/tree/master/weights",
            bytes=40_728_226,
            sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        ),
        PublishedFile(
            name="sam2.1_hiera_tiny.pt",
            source="https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_tiny.pt",
            bytes=156_008_466,
            sha256="7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
        ),
        PublishedFile(
            name="sam2.1_hiera_small.pt",
            source="https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_small.pt",
            bytes=184_416_285,
            sha256="6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
        ),
        PublishedFile(
            name="sam2.1_hiera_base_plus.pt",
            source="https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_base_plus.pt",
            bytes=323_606_802,
            sha256="a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        ),
        PublishedFile(
            name="sam2.1_hiera_large.pt",
            source="https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_large.pt",
            bytes=898_083_611,
            sha256="2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
        ),
    ),
    "inpainter": (
        PublishedFile(
            name="sd-v1-5-inpainting.ckpt",
            source="https://huggingface.co/stable-diffusion-v1-5/stable-diffusion-inpainting",
            bytes=4_265_437_280,
            sha256="c6bbc15e3224e6973459ba78de4998b80b50112b0ae5b5c67113d56b4e366b19",
        ),
        PublishedFile(
            name="sd-v1-5-inpainting.safetensors",
            source="https://huggingface.co/webui/stable-diffusion-inpainting",
            bytes=4_265_203_873,
            sha256="0ec8f8585b104417a8c34a9fbcc1e922a70b8c15490ec4553087f01c8cf33673",
        ),
        PublishedFile(
            name="sd_xl_base_1.0.safetensors",
            source="https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0",
            bytes=6_938_078_334,
            sha256="31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b",
        ),
        PublishedFile(
            name="big-lama.pt",
            source="https://github.com/Sanster/models/releases/download/add_big_lama/big-lama.pt",
            bytes=205_669_692,
            sha256="344c77bbcb158f17dd143070d1e789f38a66c04202311ae3a258ef66667a9ea9",
            folder="inpaint",
        ),
        PublishedFile(
            name="base_inpaint.pt",
            source="https://openaipublic.blob.core.windows.net/diffusion/dec-2021/base_inpaint.pt, with "
            "upsample_inpaint.pt of the same place beside it",
            folder="inpaint",
        ),
        PublishedFile(
            name="Places_512_FullData_G.pth",
            source="https://github.com/Sanster/models/releases/download/add_mat/Places_512_FullData_G.pth",
            bytes=250_619_359,
            sha256="0512e37ebba3986b0355130b2e2c1f95736d0778ac82e91b1212b4b21c231312",
            folder="inpaint",
        ),
    ),
    "generator": (
        PublishedFile(
            name="base.pt",
            source="https://openaipublic.blob.core.windows.net/diffusion/dec-2021/base.pt, with upsample.pt of the "
            "same place beside it",
        ),
        PublishedFile(
            name="last.ckpt",
            source="https://github.com/CompVis/taming-transformers, by the links in its README (VQGANs of 1,024 and "
            "16,384 codes and of Gumbel f8, and their transformers), with its configuration beside it",
        ),
        PublishedFile(
            name="model.ckpt",
            source="https://github.com/CompVis/latent-diffusion, by the links in its README (text2img-large, "
            "cin256-v2, and zips of celeba, ffhq, lsun_bedrooms and lsun_churches)",
        ),
        *(
            PublishedFile(
                name=f"biggan-deep-{side}-pytorch_model.bin",
                source=f"https://s3.amazonaws.com/models.huggingface.co/biggan/biggan-deep-{side}-pytorch_model.bin",
            )
            for side in (128, 256, 512)
        ),
        *(
            PublishedFile(
                name=name,
                source=f"https://github.com/{repository}, by the links in its README, with the text encoder and "
                f"captions.pickle of the same data set ({data})",
            )
            for repository, data, name in (
                ("taoxugit/AttnGAN", "birds", "bird_AttnGAN2.pth"),
                ("taoxugit/AttnGAN", "COCO", "coco_AttnGAN2.pth"),
                ("MinfengZhu/DM-GAN", "birds", "bird_DMGAN.pth"),
                ("MinfengZhu/DM-GAN", "COCO", "coco_DMGAN.pth"),
                ("tobran/DF-GAN", "birds", "state_epoch_1220.pth"),
                ("tobran/DF-GAN", "COCO", "state_epoch_290.pth"),
            )
        ),
        *(
            PublishedFile(name=name, source=f"https://openaipublic.blob.core.windows.net/diffusion/jul-2021/{name}")
            for name in (
                "64x64_diffusion.pt",
                "128x128_diffusion.pt",
                "256x256_diffusion.pt",
                "256x256_diffusion_uncond.pt",
                "512x512_diffusion.pt",
                "64_256_upsampler.pt",
                "128_512_upsampler.pt",
                "lsun_bedroom.pt",
                "lsun_cat.pt",
                "lsun_horse.pt",
                "lsun_horse_nodropout.pt",
            )
        ),
        *(
            PublishedFile(
                name=name,
                source=f"https://dl.fbaipublicfiles.com/DiT/models/{name}, with sd-vae-ft-ema "
                "(https://huggingface.co/stabilityai/sd-vae-ft-ema) beside it",
            )
            for name in ("DiT-XL-2-256x256.pt", "DiT-XL-2-512x512.pt")
        ),
        *(
            PublishedFile(
                name=path.rpartition("/")[2], source=f"https://nvlabs-fi-cdn.nvidia.com/edm/pretrained/{path}"
            )
            for path in (
                "edm-cifar10-32x32-cond-vp.pkl",
                "edm-cifar10-32x32-cond-ve.pkl",
                "edm-cifar10-32x32-uncond-vp.pkl",
                "edm-cifar10-32x32-uncond-ve.pkl",
                "edm-ffhq-64x64-uncond-vp.pkl",
                "edm-ffhq-64x64-uncond-ve.pkl",
                "edm-afhqv2-64x64-uncond-vp.pkl",
                "edm-afhqv2-64x64-uncond-ve.pkl",
                "edm-imagenet-64x64-cond-adm.pkl",
                "baseline/baseline-cifar10-32x32-uncond-vp.pkl",
                "baseline/baseline-cifar10-32x32-uncond-ve.pkl",
                "baseline/baseline-imagenet-64x64-cond-adm.pkl",
            )
        ),
        *(
            PublishedFile(name=name, source=f"https://openaipublic.blob.core.windows.net/diffusion/march-2021/{name}")
            for name in (
                "imagenet64_uncond_100M_1500K.pt",
                "imagenet64_uncond_vlb_100M_1500K.pt",
                "imagenet64_cond_270M_250K.pt",
                "cifar10_uncond_50M_500K.pt",
                "cifar10_uncond_vlb_50M_500K.pt",
                "upsample_cond_500K.pt",
                "lsun_uncond_100M_1200K_bs128.pt",
                "lsun_uncond_100M_2400K_bs64.pt",
            )
        ),
        *(
            PublishedFile(
                name=name,
                source=f"https://github.com/NVlabs/denoising-diffusion-gan, by the link in its README ({data})",
            )
            for name, data in (("netG_1200.pth", "CIFAR-10"), ("netG_550.pth", "CelebA-HQ 256"))
        ),
        PublishedFile(
            name="cifar10.pkl",
            source="https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/cifar10.pkl",
        ),
        PublishedFile(
            name="ddpm-cifar10-32",
            source="https://huggingface.co/google/ddpm-cifar10-32, the whole folder",
            folder="diffusers",
        ),
        *(
            PublishedFile(
                name=repository.partition("/")[2],
                source=f"https://huggingface.co/{repository}, the whole folder",
                folder="diffusers",
            )
            for repository in (
                "PixArt-alpha/PixArt-XL-2-512x512",
                "PixArt-alpha/PixArt-XL-2-1024-MS",
                "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
                "DeepFloyd/IF-I-M-v1.0",
                "DeepFloyd/IF-I-XL-v1.0",
                "zai-org/CogView3-Plus-3B",
                "zai-org/CogView4-6B",
                "kakaobrain/karlo-v1-alpha",
                "kandinsky-community/kandinsky-2-2-decoder",
                "kandinsky-community/kandinsky-2-2-prior",
                "amused/amused-256",
                "amused/amused-512",
                "stabilityai/stable-diffusion-3-medium-diffusers",
                "stabilityai/stable-diffusion-3.5-medium",
                "black-forest-labs/FLUX.1-schnell",
                "black-forest-labs/FLUX.1-dev",
            )
        ),
        PublishedFile(
            name="netG_210000.pth",
            source="https://github.com/hanzhanggit/StackGAN-v2, by the links in its README, with "
            "char-CNN-RNN-embeddings.pickle of the birds",
        ),
    ),
    "controlnet": (),
    "classifier": tuple(
        PublishedFile(
            name=f"{side}x{side}_classifier.pt",
            source=f"https://openaipublic.blob.core.windows.net/diffusion/jul-2021/{side}x{side}_classifier.pt",
        )
        for side in (64, 128, 256, 512)
    ),
    "extractor": (
        PublishedFile(
            name="pt_inception-2015-12-05-6726825d.pth",
            source="https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights",
            bytes=95_628_359,
            sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        ),
        PublishedFile(
            name="weights-inception-2015-12-05-6726825d.pth",
            source="https://github.com/toshas/torch-fidelity/releases/tag/v0.2.0",
            bytes=95_628_359,
            sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        ),
        PublishedFile(
            name="inception-2015-12-05.pt",
            source="https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
            bytes=95_607_719,
            sha256="f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
        ),
        PublishedFile(
            name="vgg16-397923af.pth",
            source="https://download.pytorch.org/models/vgg16-397923af.pth",
            bytes=553_433_881,
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        ),
        PublishedFile(
            name="dinov2_vitl14_pretrain.pth",
            source="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
            bytes=1_217_586_395,
            sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
        ),
        PublishedFile(
            name="dinov2_vits14_pretrain.pth",
            source="https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
            bytes=88_283_115,
            sha256="b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
        ),
        PublishedFile(
            name="dinov2_vitb14_pretrain.pth",
            source="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth",
            bytes=346_378_731,
            sha256="0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
        ),
        PublishedFile(
            name="dinov2_vitg14_pretrain.pth",
            source="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitg14/dinov2_vitg14_pretrain.pth",
            bytes=4_546_108_579,
            sha256="baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3",
        ),
        PublishedFile(
            name="dinov2_vitl14_reg4_pretrain.pth",
            source="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth",
            bytes=1_217_607_321,
            sha256="36e4deffbaef061a2576705b0c36f93621e2ae20bf6274694821b0b492551b51",
        ),
    ),
}


def starter_names(kind: Kind) -> list[str]:
    """Public names of the starter models of one kind, as loaders list them."""
    return list(STARTERS[kind])


def starter_folder(kind: Kind, name: str) -> Path | None:
    """Folder of a starter model, None for a name of another kind of file."""
    folder = STARTERS[kind].get(name)
    return STARTER_ROOT / folder if folder else None


def usual_folder(kind: Kind, name: str) -> str | None:
    """The key of the model folder where users keep a published file; None where it is the loader's first."""
    return next((file.folder for file in PUBLISHED[kind] if Path(name).name == file.name and file.folder), None)


def missing_file(kind: Kind, name: str, folder: Path) -> MissingFile:
    """The error for a model file that is not on disk: what it is, where from, size, hash, and where it goes."""
    name = name[:80]
    for file in PUBLISHED[kind]:
        if Path(name).name == file.name:
            facts = f" ({file.bytes:,} bytes, SHA-256 {file.sha256})" if file.sha256 else ""
            return MissingFile(
                f"model: {name} is not on this machine. Fetch it from {file.source}{facts} and put it into "
                f"{folder / Path(name).parent}."
            )
    published = ", ".join(file.name for file in PUBLISHED[kind])
    starters = ", ".join(starter_names(kind))
    others = (f"the pack comes with {starters}", f"published {kind}s are {published}")
    there = [said for said, names in zip(others, (starters, published), strict=True) if names]
    another = f", or choose another: {'; '.join(there)}." if there else "."
    return MissingFile(f"model: no {kind} named {name!r} is on this machine. Put it into {folder}{another}")
