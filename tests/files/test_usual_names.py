"""The names that messages compare with are those of the libraries' networks."""

import json

import pytest
from trilemma.models.files import usual_names
from trilemma.models.generators.autoregressive.feature_prior import FeatureTransformer
from trilemma.models.generators.autoregressive.pixelcnn_prior import PixelCNN
from trilemma.models.generators.autoregressive.row_lstm_prior import RowLSTM
from trilemma.models.generators.autoregressive.transformer_prior import CodeTransformer
from trilemma.models.generators.gan.stylegan2.network import Sizes, StyleGAN2
from trilemma.models.generators.gan.stylegan3.design import published
from trilemma.models.generators.gan.stylegan3.network import StyleGAN3
from trilemma.models.segmentation import hq_sam, mobile_sam, sam, sam2
from trilemma.models.segmentation.sam2 import architecture
from trilemma.models.segmentation.sam2.names import META_VIDEO, in_meta_layout
from trilemma.models.weights import empty_weights

pytestmark = pytest.mark.slow


def names():
    """Of each network, those of its state dict; of MobileSAM and SAM 2, those in their published files."""
    found = {name: list(network.state_dict()) for name, network in networks().items()}
    found[sam2.NAME] = [*map(in_meta_layout, found[sam2.NAME]), *sorted(META_VIDEO)]
    return found | {mobile_sam.NAME: list(mobile_sam.random_file(mobile_sam.VIT_T))}


def networks():
    from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DModel, VQModel

    with empty_weights():
        return {
            "SAM": sam.build(sam.VIT_B),
            "HQ-SAM": hq_sam.build(sam.VIT_B),
            "SAM 2": architecture.build(architecture.PUBLISHED["tiny"]),
            "StyleGAN2": StyleGAN2(Sizes(512, 0, 512, 8, (8,) * 7, 3)),
            "StyleGAN3": StyleGAN3(published(1024)),
            "VQModel with feature prior": FeatureTransformer(256, (8, 8), 512, 32),
            "VQModel with PixelCNN prior": PixelCNN(256, (8, 8), 32),
            "VQModel with Row LSTM prior": RowLSTM(256, (8, 8), 32),
            "VQModel with transformer prior": CodeTransformer(256, (8, 8), 32),
            "AutoencoderKL": AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(128, 256, 512, 512),
                layers_per_block=2,
            ),
            "AutoencoderTiny": AutoencoderTiny(),
            "DDPM": UNet2DModel(
                block_out_channels=(32, 64, 64),
                down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
                up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            ),
            "VQModel": VQModel(
                down_block_types=("DownEncoderBlock2D",) * 3,
                up_block_types=("UpDecoderBlock2D",) * 3,
                block_out_channels=(128, 256, 512),
                layers_per_block=2,
            ),
        }


def write():
    """The file anew, after a library has renamed something."""
    found = {name: usual_names.grouped(own) for name, own in names().items()}
    usual_names.FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def test_the_file_holds_the_names_of_the_networks():
    for name, own in names().items():
        assert usual_names.usual_names(name) == set(own), name
