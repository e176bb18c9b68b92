"""Single files of Stable Diffusion 2.x and XL: names, sizes, what they foresee, pictures as diffusers draws them."""

import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from trilemma.models import weights
from trilemma.models.diffusion import loading, networks, open_clip, original_layout, prediction, single_file, tiny
from trilemma.models.diffusion.original_layout import BASE_V2, BASE_XL, TINY_V2, TINY_XL, V2, XL
from trilemma.models.errors import BadCheckpoint
from trilemma.models.generators.loading import load_generator
from trilemma.models.inpainting.loading import INPAINTERS, load_inpainter
from trilemma.tests.closeness import assert_close, is_close
from trilemma.tests.inpainting.tiny import inpaint

pytestmark = pytest.mark.slow

PUBLISHED = [BASE_V2, BASE_V2._replace(channels=9), BASE_XL, BASE_XL._replace(channels=9)]
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def empty(sizes: original_layout.Sizes) -> dict[str, torch.Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in original_layout.weights(sizes).items()}


@pytest.mark.parametrize(
    ("sizes", "unet", "texts", "count"),
    [
        (PUBLISHED[0], 865_910_724, [340_387_840], 1226),
        (PUBLISHED[1], 865_925_124, [340_387_840], 1226),
        (PUBLISHED[2], 2_567_463_684, [123_060_480, 694_659_840], 2513),
        (PUBLISHED[3], 2_567_478_084, [123_060_480, 694_659_840], 2513),
    ],
)
def test_published_files_are_accounted_for(sizes, unet, texts, count):
    """Every tensor of a file of full size has its place in diffusers' and transformers' networks of the published
    number of parameters, and none is missing there."""
    tensors = empty(sizes)
    assert len(tensors) == count
    assert single_file.read_sizes(tensors, "file") == sizes
    parts, given = single_file.convert(tensors, "file")
    built = list(networks.build(*(parts[part] for part in networks.Networks._fields)))
    named = [given.unet, given.vae, networks._text_names(built[2], given.text_encoder)]
    if sizes.version is XL:
        built.append(networks.build_second(parts["text_encoder_2"]))
        named.append(networks._text_names(built[3], single_file.second_encoder(tensors)))
    for network, found in zip(built, named, strict=True):
        weights.check_fit({name: value.shape for name, value in network.state_dict().items()}, found, "file")
    counts = [sum(parameter.numel() for parameter in network.parameters()) for network in built]
    assert counts == [unet, 83_653_863, *texts]


def file(folder, version, channels=9, metadata=None, **more):
    """A single file with random weights, and its tensors."""
    path = tiny.write_single_file(folder, channels, version)
    tensors = {name: value for name, value in load_file(path).items() if name not in prediction.MARKS}
    written = {name: value.contiguous() for name, value in {**tensors, **more}.items()}
    save_file(written, path, metadata)
    return path, tensors


def of_diffusers(tensors, version, channels, prediction_type="epsilon"):
    """The same weights by diffusers' own conversion, in networks configured here, as its inpainting pipeline."""
    import diffusers
    from diffusers.loaders import single_file_utils as utils
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    is_xl = version is XL
    sizes = TINY_XL if is_xl else TINY_V2
    levels = len(sizes.widths)
    extra = (
        {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 32,
            "projection_class_embeddings_input_dim": 64 + 192,
            "transformer_layers_per_block": [1, 1, 2],
        }
        if is_xl
        else {}
    )
    attending = ["CrossAttn"] * levels
    attending[0 if is_xl else -1] = ""
    unet = diffusers.UNet2DConditionModel(
        sample_size=128 if is_xl else 64,
        in_channels=channels,
        block_out_channels=sizes.widths,
        down_block_types=[f"{each}DownBlock2D" for each in attending],
        up_block_types=[f"{each}UpBlock2D" for each in reversed(attending)],
        cross_attention_dim=128 if is_xl else 64,
        attention_head_dim=1,
        use_linear_projection=True,
        **extra,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=(32,) * 4,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=2,
        scaling_factor=0.13025 if is_xl else 0.18215,
    )
    unet.load_state_dict(utils.convert_ldm_unet_checkpoint(dict(tensors), unet.config))
    vae.load_state_dict(utils.convert_ldm_vae_checkpoint(dict(tensors), vae.config))

    def tokenizer(**changes):
        from transformers import CLIPTokenizer

        return CLIPTokenizer.from_pretrained(str(single_file.TOKENIZER), **changes)

    def text_config(layers, act):
        return CLIPTextConfig(
            hidden_size=64,
            intermediate_size=256,
            num_hidden_layers=layers,
            num_attention_heads=1,
            hidden_act=act,
            projection_dim=64,
            eos_token_id=2,
        )

    def filled(model, state):
        bare = {name.removeprefix("text_model."): value for name, value in state.items()}
        prefix = "text_model." if hasattr(model, "text_model") else ""
        wanted = {
            name: bare[name if name == "text_projection.weight" else name.removeprefix(prefix)]
            for name in model.state_dict()
        }
        model.load_state_dict(wanted)
        return model.train(False)

    scheduler = diffusers.DDIMScheduler(
        **SCHEDULE, clip_sample=False, set_alpha_to_one=False, prediction_type=prediction_type
    )
    if is_xl:
        clip = {name.removeprefix(XL.clip): value for name, value in tensors.items() if name.startswith(XL.clip)}
        second = CLIPTextModelWithProjection(text_config(2, "gelu"))
        state = utils.convert_open_clip_checkpoint(second, dict(tensors), prefix=XL.open_clip)
        made = diffusers.StableDiffusionXLInpaintPipeline(
            vae=vae.train(False),
            text_encoder=filled(CLIPTextModel(text_config(2, "quick_gelu")), clip),
            text_encoder_2=filled(second, state),
            tokenizer=tokenizer(),
            tokenizer_2=tokenizer(pad_token="!"),
            unet=unet.train(False),
            scheduler=scheduler,
            add_watermarker=False,
        )
    else:
        text = CLIPTextModel(text_config(2, "gelu"))
        state = utils.convert_open_clip_checkpoint(text, dict(tensors), prefix=V2.open_clip)
        made = diffusers.StableDiffusionInpaintPipeline(
            vae.train(False), filled(text, state), tokenizer(pad_token="!"), unet.train(False), scheduler,
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize(
    ("version", "channels", "foresees", "strength", "negative"),
    [
        (V2, 9, "epsilon", 1.0, "dog"),
        (V2, 4, "v_prediction", 0.7, "dog"),
        (XL, 9, "epsilon", 1.0, ""),
        (XL, 9, "epsilon", 0.7, "dog"),
        (XL, 4, "v_prediction", 0.7, ""),
    ],
)
def test_a_file_draws_what_diffusers_draws(tmp_path, version, channels, foresees, strength, negative):
    path, tensors = file(tmp_path, version, channels, {"modelspec.prediction_type": foresees})
    image, mask = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(1)), torch.zeros(1, 64, 64)
    mask[:, 16:48, 16:48] = 1
    made = of_diffusers(tensors, version, channels, foresees)
    expected = made(
        prompt="a red cat",
        negative_prompt=negative or None,
        image=image.movedim(-1, 1),
        mask_image=mask[:, None],
        height=64,
        width=64,
        num_inference_steps=4,
        guidance_scale=4.0,
        strength=strength,
        generator=[torch.Generator().manual_seed(7)],
        output_type="pt",
    ).images.movedim(1, -1)
    loaded = load_inpainter(path)
    found = inpaint(
        loaded,
        image,
        mask,
        "a red cat",
        negative,
        steps=4,
        guidance_scale=4.0,
        strength=strength,
        seed=7,
        sampler="DDIM",
    )
    hole = mask > 0
    assert torch.allclose(found[hole], expected[hole], atol=5e-5, rtol=0)
    assert torch.equal(found[~hole], image[~hole])
    assert float(expected[hole].std()) > 0.01
    assert not is_close(found[hole], inpaint(loaded, image, mask, "dog", steps=4, seed=7)[hole])


@pytest.mark.parametrize("version", [V2, XL])
def test_names_agree_with_the_conversion_of_diffusers(version):
    """Of every tensor of a file of full size, by its place in a list."""
    from diffusers.loaders import single_file_utils as utils

    shapes = original_layout.weights(original_layout.PUBLISHED[version])
    ones = [[3 if "in_proj" in name else 1, *(1 for _ in shape[1:])] for name, shape in shapes.items()]
    tensors = {name: torch.full(one, index) for index, (name, one) in enumerate(zip(shapes, ones, strict=True))}
    ours = single_file._split(tensors)
    levels = len(original_layout.PUBLISHED[version].widths)
    config = {"layers_per_block": 2, "addition_embed_type": "text_time" if version is XL else None}
    theirs = utils.convert_ldm_unet_checkpoint(dict(tensors), {**config, "down_block_types": [0] * levels})
    vae = utils.convert_ldm_vae_checkpoint(dict(tensors), {"down_block_types": [0] * 4, "up_block_types": [0] * 4})
    assert {name: int(value) for name, value in ours.unet.items()} == {k: int(v) for k, v in theirs.items()}
    assert {name: int(value) for name, value in ours.vae.items()} == {k: int(v) for k, v in vae.items()}


@pytest.mark.parametrize(("hidden", "layers", "projection"), [(1024, 24, 0), (1280, 32, 1280), (8, 2, 6)])
def test_in_projections_are_split(hidden, layers, projection):
    """Rows of queries, keys and values, in that order, and each layer once."""
    shapes = open_clip.weights(hidden, 2, projection)
    tensors = {name: torch.arange(math.prod(shape)).view(shape) for name, shape in shapes.items()}
    found = open_clip.converted(tensors, 1)
    joined = torch.cat([found[f"text_model.encoder.layers.0.self_attn.{part}_proj.weight"] for part in "qkv"])
    assert torch.equal(joined, tensors["transformer.resblocks.0.attn.in_proj_weight"])
    assert not any(".layers.1." in name for name in found)
    if projection:
        assert torch.equal(found["text_projection.weight"], tensors["text_projection"].T)


@pytest.mark.parametrize(("version", "paddings"), [(V2, ["!"]), (XL, ["<|endoftext|>", "!"])])
def test_prompts_are_filled_up_as_in_training(tmp_path, version, paddings):
    parts = load_inpainter(file(tmp_path, version)[0]).networks
    tokenizers = [parts.tokenizer] if parts.second is None else [parts.tokenizer, parts.second.tokenizer]
    assert [tokenizer.pad_token for tokenizer in tokenizers] == paddings
    assert tokenizers[-1].pad_token_id == 0


YAML = 'model:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params:\n    parameterization: "v"\n'


@pytest.mark.parametrize(
    ("marks", "metadata", "yaml", "scheduler", "found"),
    [
        ((), {"modelspec.prediction_type": "v"}, "", "", "v_prediction"),
        ((), {"modelspec.prediction_type": "epsilon"}, YAML, "", "epsilon"),
        (("v_pred",), {"modelspec.prediction_type": "epsilon"}, "", "", "v_prediction"),
        ((), None, YAML, "", "v_prediction"),
        ((), None, YAML.replace("v", "eps", 3).replace('parameterization: "v"', ""), "", "epsilon"),
        ((), None, YAML.replace('"v"', "eps"), "", "epsilon"),
        ((), None, "", '{"_class_name": "DDIMScheduler", "prediction_type": "v_prediction"}', "v_prediction"),
    ],
)
def test_what_a_base_model_foresees_is_found(tmp_path, marks, metadata, yaml, scheduler, found):
    path, _ = file(tmp_path, V2, 4, metadata, **{name: torch.zeros(()) for name in marks})
    if yaml:
        path.with_suffix(".yaml").write_text(yaml)
    if scheduler:
        (tmp_path / "scheduler_config.json").write_text(scheduler)
    loaded = load_inpainter(path)
    assert loaded.networks.scheduler_config["prediction_type"] == found
    assert loaded.native_resolution == {"v_prediction": 768, "epsilon": 512}[found]
    beside = [
        name
        for name, there in ((path.with_suffix(".yaml"), yaml), (tmp_path / "scheduler_config.json", scheduler))
        if there
    ]
    assert loaded.files == (path, *beside)


def test_what_nothing_tells_is_asked(tmp_path):
    path, _ = file(tmp_path, V2, 4)
    for load in (load_inpainter, load_generator):
        with pytest.raises(
            BadCheckpoint, match=r"tiny\.safetensors: tensors do not tell .* set prediction .* tiny\.yaml"
        ):
            load(path)
    told = INPAINTERS.load(path, told={prediction.TOLD: "v_prediction"})
    assert told.networks.scheduler_config["prediction_type"] == "v_prediction"


@pytest.mark.parametrize(("version", "channels"), [(V2, 9), (XL, 9), (XL, 4)])
def test_published_kinds_need_no_telling(tmp_path, version, channels):
    config = load_inpainter(file(tmp_path, version, channels)[0]).networks.scheduler_config
    assert config["prediction_type"] == "epsilon"


@pytest.mark.parametrize("empty", [torch.zeros(0), torch.zeros(())])
def test_marks_are_read(tmp_path, empty):
    """As NoobAI's files have them: of no element, or a number."""
    path, _ = file(tmp_path, XL, 4, v_pred=empty, ztsnr=empty.clone())
    config = load_inpainter(path).networks.scheduler_config
    assert config["prediction_type"] == "v_prediction"
    assert (config["rescale_betas_zero_snr"], config["timestep_spacing"]) == (True, "trailing")


def test_networks_of_other_rules_are_refused(tmp_path):
    path, _ = file(tmp_path, XL, 4, edm_mean=torch.zeros(1, 4, 1, 1))
    with pytest.raises(BadCheckpoint, match="edm_mean marks a network that foresees by the rules of EDM"):
        load_inpainter(path)
    path, _ = file(tmp_path, V2, 4)
    path.with_suffix(".yaml").write_text(YAML.replace('"v"', "x0"))
    with pytest.raises(BadCheckpoint, match=r"tiny\.yaml beside it says parameterization: x0"):
        load_inpainter(path)


def test_buffers_and_unused_weights_are_left_out(tmp_path):
    xl = {
        "conditioner.embedders.1.model.logit_scale": torch.zeros(()),
        "conditioner.embedders.0.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
        "denoiser.sigmas": torch.zeros(1000),
    }
    path, _ = file(tmp_path, XL, 9, **xl)
    more = load_inpainter(path).identity
    assert load_inpainter(file(tmp_path, XL, 9)[0]).identity == more
    path, _ = file(tmp_path, V2, 9)
    plain = load_inpainter(path).identity
    v2 = {
        "cond_stage_model.model.logit_scale": torch.zeros(()),
        "cond_stage_model.model.text_projection": torch.zeros(64, 64),
        "cond_stage_model.model.transformer.resblocks.2.mlp.c_fc.bias": torch.ones(256),
        "betas": torch.zeros(1000),
    }
    assert load_inpainter(file(tmp_path, V2, 9, **v2)[0]).identity == plain
    with pytest.raises(BadCheckpoint, match=r"1 unexpected \(model\.diffusion_model\.extra\)"):
        load_inpainter(file(tmp_path, V2, 9, **{"model.diffusion_model.extra": torch.zeros(1)})[0])


def test_resolution_is_told_by_metadata(tmp_path):
    path, _ = file(tmp_path, XL, 9, {"modelspec.resolution": "768x768"})
    assert load_inpainter(path).native_resolution == 768
    assert load_inpainter(file(tmp_path, XL, 9)[0]).native_resolution == 1024


def test_half_precision_keeps_the_vae_of_xl_whole(tmp_path):
    path, _ = file(tmp_path, XL, 9)
    parts = load_inpainter(path, lambda parameters: torch.bfloat16).networks
    assert {module.dtype for module in (parts.unet, parts.text_encoder, parts.second.encoder)} == {torch.bfloat16}
    assert parts.vae.dtype == torch.float32


def test_a_file_is_the_folder_that_diffusers_makes_of_it(tmp_path):
    """Saved in several files, as large folders are."""
    path, tensors = file(tmp_path, XL, 9)
    made = of_diffusers(tensors, XL, 9)
    made.save_pretrained(tmp_path / "folder", max_shard_size="2MB", variant="fp16")
    assert len(list((tmp_path / "folder" / "unet").glob("*.safetensors"))) > 1
    folder, single = load_inpainter(tmp_path / "folder"), load_inpainter(path)
    assert folder.architecture == single.architecture == "Stable Diffusion XL"
    for ours, theirs in zip(single.modules, folder.modules, strict=True):
        for name, value in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], value)
    assert loading.tokenizer_of("!")("a cat").input_ids == folder.networks.second.tokenizer("a cat").input_ids
    image, mask = torch.rand(1, 64, 64, 3), torch.ones(1, 64, 64)
    settings = {"steps": 2, "sampler": "DDIM"}
    assert_close(inpaint(single, image, mask, "a cat", **settings), inpaint(folder, image, mask, "a cat", **settings))
