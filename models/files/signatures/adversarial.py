"""Adversarial networks; the particular before the general."""

from __future__ import annotations

from typing import Final

from .signature import GENERATOR, OWN_CODE, WITH_WORDS, Signature

SIGNATURES: Final = (
    Signature(
        "a StyleGAN2 generator",
        GENERATOR,
        ("generator",),
        (r"synthesis\.b4\.const$", r"synthesis\.b4\.torgb\.weight"),
    ),
    Signature(
        "a StyleGAN2 discriminator, which draws nothing",
        "neither the pack nor ComfyUI loads it; the generator is in the same snapshot, as G_ema",
        (),
        (r"b4\.conv\.weight", r"b\d+\.fromrgb\.weight"),
    ),
    Signature(
        "a StyleGAN-XL generator",
        OWN_CODE,
        (),
        (r"synthesis\.input\.", r"mapping\.embed_proj\."),
    ),
    Signature(
        "a StyleGAN3 generator",
        GENERATOR,
        ("generator",),
        (r"synthesis\.input\.(weight|freqs)", r"mapping\.fc0\.weight"),
    ),
    Signature(
        "a StyleGAN2 generator in the layout of rosinality/stylegan2-pytorch",
        GENERATOR,
        ("generator",),
        (r"style\.1\.weight", r"(convs\.0\.conv\.modulation|conv1\.conv\.modulation)\."),
    ),
    Signature(
        "a StyleGAN2 generator of TensorFlow",
        GENERATOR,
        ("generator",),
        (r"synthesis\.4x4\.Conv\.mod_weight", r"mapping\.Dense0\.weight"),
    ),
    Signature(
        "a StyleGAN1 generator of TensorFlow",
        GENERATOR,
        ("generator",),
        (r"synthesis\.4x4\.Const\.StyleMod\.weight", r"mapping\.Dense0\.weight"),
    ),
    Signature(
        "a StyleGAN1 generator in the layout of rosinality/style-based-gan-pytorch",
        GENERATOR,
        ("generator",),
        (r"generator\.progression\.0\.", r"style\.1\."),
    ),
    Signature(
        "a StyleGAN1 generator in the layout of genforce",
        GENERATOR,
        ("generator",),
        (r"mapping\.dense0\.weight", r"synthesis\.(layer0|lod)"),
    ),
    Signature(
        "a StyleGAN1 generator in the layout of lernapparat",
        GENERATOR,
        ("generator",),
        (r"g_mapping\.dense0\.weight", r"g_synthesis\."),
    ),
    Signature("a FastGAN generator", OWN_CODE, (), (r"init\.init\.0\.", r"(se_64|feat_8)\.")),
    Signature(
        "a BigGAN-deep generator in the layout of pytorch-pretrained-BigGAN",
        GENERATOR,
        ("generator",),
        (r"generator\.gen_z\.weight_orig", r"generator\.layers\.0\.bn_0\.running_means"),
    ),
    Signature(
        "a BigGAN generator",
        OWN_CODE,
        (),
        (r"(generator\.)?(gen_z|linear)\.", r"(generator\.layers|blocks)\.0\.(0\.)?(bn1|bn_0|conv1|conv_0)"),
    ),
    Signature(
        "a DF-GAN generator, which draws by text",
        WITH_WORDS,
        ("generator",),
        (r"GBlocks\.0\.", r"fc\."),
    ),
    Signature("a DF-GAN discriminator", OWN_CODE, (), (r"(DBlocks\.0|joint_conv\.0)\.",)),
    Signature(
        "an SSA-GAN generator, which draws by text",
        WITH_WORDS,
        ("generator",),
        (r"conv_mask\.0\.", r"block0\.affine0\."),
    ),
    Signature(
        "a DM-GAN generator, which draws by text", WITH_WORDS, ("generator",), (r"h_net1\.", r"h_net2\.(key|M_w)\.")
    ),
    Signature("an AttnGAN generator, which draws by text", WITH_WORDS, ("generator",), (r"h_net1\.", r"h_net2\.att\.")),
    Signature(
        "a StackGAN++ generator",
        "it belongs into a folder in models/generators, for Load Generator, with char-CNN-RNN-embeddings.pickle if it "
        "draws by text",
        ("generator",),
        (r"h_net1\.fc\.0\.", r"h_net2\.jointConv\."),
    ),
    Signature("a StackGAN generator, which draws by text", OWN_CODE, (), (r"(h_net1|ca_net)\.",)),
    Signature("a discriminator of AttnGAN or DM-GAN", OWN_CODE, (), (r"(UN)?COND_DNET\.",)),
    Signature(
        "a DAMSM text encoder, of AttnGAN and its successors",
        "it belongs beside its generator, into a folder in models/generators, for Load Generator",
        (),
        (r"rnn\.weight_ih_l0_reverse", r"encoder\.weight"),
    ),
)
