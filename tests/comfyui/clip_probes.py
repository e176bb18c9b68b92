"""Questions about CLIP Score, and features to draw from, that only ComfyUI's own CLIP and CLIP_VISION can answer;
run by ComfyUI's Python.

    python clip_probes.py CHECKOUT BASE_FOLDER

Prints one JSON object {probe: answer}. The networks are ComfyUI's own classes with few channels; their weights are
those of a random CLIPModel of transformers, which is the judge.
"""

import json
import sys
import traceback
from pathlib import Path

CHECKOUT, BASE = Path(sys.argv[1]), Path(sys.argv[2])
sys.argv = [str(CHECKOUT / "main.py"), "--cpu", "--base-directory", str(BASE)]
sys.path[0] = str(CHECKOUT)

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import utils.extra_config  # noqa: E402, F401  (before `nodes`, which hides this package)

# isort: split
import comfy.clip_vision  # noqa: E402
import comfy.sd  # noqa: E402
import torch  # noqa: E402
from comfy_execution.graph import DynamicPrompt  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer  # noqa: E402
from trilemma import host  # noqa: E402
from trilemma.models.errors import BadCheckpoint, BadInput  # noqa: E402
from trilemma.models.generators.autoregressive import feature_prior  # noqa: E402
from trilemma.models.generators.autoregressive.code_generator import write_tiny  # noqa: E402
from trilemma.models.generators.binding import Bound  # noqa: E402
from trilemma.models.generators.loading import load_generator  # noqa: E402
from trilemma.nodes.generate import SampleImages  # noqa: E402
from trilemma.nodes.generate_from_features import ConditionOnFeatures  # noqa: E402
from trilemma.nodes.score_images import CLIPScore  # noqa: E402

WIDTH, SIDE = 32, 32
TEXT = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
VISION = {
    **TEXT, "hidden_size": 48, "image_size": SIDE, "patch_size": 8, "projection_dim": WIDTH, "num_channels": 3,
    "hidden_act": "quick_gelu", "model_type": "clip_vision_model",
}  # fmt: skip
PROMPTS = ("a cat", "two dogs in the snow, at night", "(a pumpkin:1.3) on a table", "rain " * 120)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def random_clip() -> CLIPModel:
    text = {**TEXT, "vocab_size": 49408, "max_position_embeddings": 77, "eos_token_id": 49407, "bos_token_id": 49406}
    config = CLIPConfig(
        text_config={**text, "hidden_act": "quick_gelu", "projection_dim": WIDTH},
        vision_config=VISION,
        projection_dim=WIDTH,
    )
    torch.manual_seed(0)
    model = CLIPModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            # ComfyUI keeps text encoders in half precision, on a CPU too.
            parameter.copy_((parameter + 0.05 * torch.randn_like(parameter)).half())
    return model


JUDGE = random_clip()
STATE = {name: value.clone() for name, value in JUDGE.state_dict().items() if not name.endswith("position_ids")}
TEXT_STATE = {name: value for name, value in STATE.items() if name.startswith("text_")}
VISION_STATE = {name: value for name, value in STATE.items() if name.startswith("vis")}
WITHOUT = {name: value for name, value in TEXT_STATE.items() if name != "text_projection.weight"}


def file(folder: str, name: str, state: dict) -> Path:
    path = BASE / "models" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    return path


def load_clip(path: Path):
    """As Load CLIP does."""
    return comfy.sd.load_clip(
        [str(path)], clip_type=comfy.sd.CLIPType.STABLE_DIFFUSION, model_options={"model_config": dict(TEXT)}
    )


def clip_of_unknown_file(state: dict):
    """As loaders of other packs do."""
    return comfy.sd.load_text_encoder_state_dicts([dict(state)], model_options={"model_config": dict(TEXT)})


def load_vision(state: dict, **changes):
    config = {name: value for name, value in {**VISION, **changes}.items() if value is not None}
    path = BASE / "vision.json"
    path.write_text(json.dumps(config))
    vision = comfy.clip_vision.ClipVisionModel(str(path))
    vision.load_sd(dict(state))
    return vision


def images(count):
    """Of the size that the network sees, in 8 bits."""
    return torch.randint(256, (count, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(1)).float() / 255


@torch.no_grad()
def judged(prompts=PROMPTS):
    """What transformers makes of prompts and images."""
    tokenizer = CLIPTokenizer.from_pretrained(str(CHECKOUT / "comfy" / "sd1_tokenizer"))
    texts = [text.replace("(", "").replace(":1.3)", "") for text in prompts]
    ids = tokenizer(texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt").input_ids
    pixels = (images(len(prompts)) - torch.tensor(MEAN)) / torch.tensor(STD)
    return JUDGE(input_ids=ids, pixel_values=pixels.movedim(-1, 1))


def expected(prompts=PROMPTS):
    """Scores by transformers."""
    answer = judged(prompts)
    cosine = torch.nn.functional.cosine_similarity(answer.image_embeds, answer.text_embeds)
    return (100 * cosine.clamp(min=0)).tolist()


def score(clip, vision=None, prompts=PROMPTS, **options):
    vision = vision or load_vision(VISION_STATE)
    answer = CLIPScore().run(clip, vision, images(len(prompts)), "\n".join(prompts), **options)["result"]
    return [image["clip_score"] for image in json.loads(answer[2])["images"]], answer


WHOLE = file("text_encoders", "whole.safetensors", TEXT_STATE)
LACKING = file("text_encoders", "lacking.safetensors", WITHOUT)
PICKLED = file("text_encoders", "lacking.pt", WITHOUT)


def graph(name: str, vision: str = "somewhere else.safetensors"):
    """Two loaders, a node between, and CLIP Score as node 3."""
    return DynamicPrompt(
        {
            "1": {"class_type": "CLIPLoader", "inputs": {"clip_name": name, "type": "stable_diffusion"}},
            "2": {"class_type": "CLIPSetLastLayer", "inputs": {"clip": ["1", 0], "stop_at_clip_layer": -1}},
            "3": {"class_type": "TrilemmaCLIPScore", "inputs": {"clip": ["2", 0], "clip_vision": ["4", 0]}},
            "4": {"class_type": "CLIPVisionLoader", "inputs": {"clip_name": vision}},
        }
    )


def parity():
    found, (mean, scores, _, report) = score(load_clip(WHOLE))
    return {"found": found, "expected": expected(), "mean": mean, "value": scores.value("clip_score"), "report": report}


def batches():
    clip = load_clip(WHOLE)
    return [score(clip, batch_size=size)[0] for size in (1, 3)]


def traced():
    """The file that a score says it came from: as ComfyUI remembers it, and as the graph tells."""
    remembered = score(load_clip(WHOLE))[1][1].provenance["clip"]
    by_graph = score(clip_of_unknown_file(TEXT_STATE), graph=graph(WHOLE.name), node_id="3")[1][1].provenance["clip"]
    return [remembered, by_graph]


def untraced():
    answer = score(clip_of_unknown_file(TEXT_STATE))[1]
    return [answer[1].provenance["clip"], answer[3]]


def refused(call, kind=BadCheckpoint):
    try:
        call()
    except kind as error:
        return str(error)
    return "not refused"


def lacking_file():
    """Whatever lay in memory where the projection is missing; here even the right one."""

    def run(name, path):
        clip = load_clip(path)
        with torch.no_grad():
            clip.cond_stage_model.clip_l.transformer.text_projection.weight.copy_(TEXT_STATE["text_projection.weight"])
        return refused(lambda: score(clip, graph=graph(name), node_id="3"))

    return [run(LACKING.name, LACKING), run(PICKLED.name, PICKLED)]


def remembered_lacking():
    clip = load_clip(LACKING)
    return [hasattr(clip.patcher, "cached_patcher_init"), refused(lambda: score(clip))]


def identity():
    state = {**TEXT_STATE, "text_projection.weight": torch.eye(WIDTH)}
    return refused(lambda: score(load_clip(file("text_encoders", "eye.safetensors", state))))


def no_clip():
    """A text encoder whose pooled output no CLIP has made, such as two of them side by side."""
    clip = load_clip(WHOLE)
    real = clip.encode_from_tokens
    clip.encode_from_tokens = lambda *args, **options: [
        torch.cat([part, part], dim=-1) for part in real(*args, **options)
    ]
    return refused(lambda: score(clip))


def lacking_vision_file():
    state = {name: value for name, value in VISION_STATE.items() if name != "visual_projection.weight"}
    whole = file("clip_vision", "whole.safetensors", VISION_STATE).name
    lacking = file("clip_vision", "lacking.safetensors", state).name
    found = score(load_clip(WHOLE), graph=graph(WHOLE.name, whole), node_id="3")[1][1].provenance["clip_vision"]
    return [found, refused(lambda: score(load_clip(WHOLE), graph=graph(WHOLE.name, lacking), node_id="3"))]


def vision_without_projection():
    state = {name: value for name, value in VISION_STATE.items() if name != "visual_projection.weight"}
    return refused(lambda: score(load_clip(WHOLE), load_vision(state, projection_dim=None)))


def other_sizes():
    state = {**VISION_STATE, "visual_projection.weight": VISION_STATE["visual_projection.weight"][:16]}
    return refused(lambda: score(load_clip(WHOLE), load_vision(state, projection_dim=16)), BadInput)


def taken_by():
    """What decides, of: a CLIP, the same again, with another weight, with a patch, at another layer, and of another
    CLIP_VISION; and the scores at another layer."""
    other = {**TEXT_STATE, "text_projection.weight": TEXT_STATE["text_projection.weight"] + 0.01}
    patched, cut = load_clip(WHOLE), load_clip(WHOLE)
    name = next(key for key in patched.patcher.model.state_dict() if key.endswith("fc1.weight"))
    patched.patcher.add_patches({name: ("diff", (torch.ones(64, WIDTH),))})
    cut.clip_layer(-2)
    vision = {**VISION_STATE, "visual_projection.weight": VISION_STATE["visual_projection.weight"] + 0.01}
    answers = [
        score(load_clip(WHOLE)),
        score(load_clip(WHOLE)),
        score(load_clip(file("text_encoders", "other.safetensors", other))),
        score(patched),
        score(cut),
        score(load_clip(WHOLE), load_vision(vision)),
    ]
    return {
        "taken_by": [answer[1].provenance["taken_by"] for _, answer in answers],
        "scores": [answers[0][0], answers[4][0]],
    }


def features(size=WIDTH):
    """Of a generator that draws from features, conditioned by both halves: cosines of its vectors to those of
    transformers, what it drew, and whether pictures differ."""
    prior = feature_prior.FeatureTransformer(16, (4, 4), size, width=8, layers=2)
    generator = load_generator(write_tiny(BASE, prior))
    handle = host.hold(Bound(generator), generator.modules)
    texts = {"text": "\n".join(PROMPTS), "clip": load_clip(WHOLE), "graph": graph(WHOLE.name), "node_id": "3"}
    pictures = {"images": images(len(PROMPTS)), "clip_vision": load_vision(VISION_STATE)}
    answer, told = judged(), {}
    for given, wanted in ((texts, answer.text_embeds), (pictures, answer.image_embeds)):
        (made,) = ConditionOnFeatures().run(handle, **given)
        vectors = torch.stack([condition.vector.values for condition in made.model.conditions])
        drawn, records = SampleImages().run(made, 4, 0)["result"]
        told[next(iter(given))] = {
            "cosines": torch.nn.functional.cosine_similarity(vectors, wanted).tolist(),
            "drawn": list(drawn.shape),
            "records": len({record["vector"] for record in json.loads(records)}),
        }
    return told


def features_of_other_sizes():
    return refused(lambda: features(WIDTH - 1), BadInput)


def features_without_a_projection():
    prior = feature_prior.FeatureTransformer(16, (4, 4), WIDTH, width=8, layers=2)
    generator = load_generator(write_tiny(BASE, prior))
    handle = host.hold(Bound(generator), generator.modules)
    given = {"text": "a cat", "clip": load_clip(LACKING), "graph": graph(LACKING.name), "node_id": "3"}
    return refused(lambda: ConditionOnFeatures().run(handle, **given))


def answer(probe):
    try:
        # As in a prompt.
        with torch.inference_mode():
            return probe()
    except Exception:
        return traceback.format_exc()[-2000:]


PROBES = (
    parity, batches, traced, untraced, lacking_file, remembered_lacking, lacking_vision_file, identity, no_clip,
    vision_without_projection, other_sizes, taken_by,
    features, features_of_other_sizes, features_without_a_projection,
)  # fmt: skip
print(json.dumps({probe.__name__: answer(probe) for probe in PROBES}))
