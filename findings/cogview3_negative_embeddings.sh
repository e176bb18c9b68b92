#!/usr/bin/env bash
# One would guess: CogView3PlusPipeline takes a negative prompt as text or, encoded beforehand, as `negative_prompt_embeds`,
# as its help says and as diffusers' other pipelines of prompts do.
# What happens (diffusers 0.42.1, torch 2.14.1): whenever the text is absent, which it has to be where embeddings are given,
# the pipeline puts zeros in their place. Whatever is given, the picture is the same to the bit, without a word. No negative
# prompt means these zeros too, and is not the empty prompt, which is encoded as any other text.
# Why it matters: who encodes prompts once for many pictures, or to free the text encoder (5 billion parameters here) before
# drawing, loses the negative prompt and sees nothing of it; and a picture "without negative prompt" is another than one with
# an empty one, the value that a text field of a user interface sends.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diffusers==0.42.1 transformers==5.24.0 torch==2.14.1 numpy==2.3.5
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

import torch
from diffusers import AutoencoderKL, CogVideoXDDIMScheduler, CogView3PlusPipeline, CogView3PlusTransformer2DModel

print("diffusers", version("diffusers"), "torch", version("torch"))
torch.manual_seed(0)
autoencoder = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4)
network = CogView3PlusTransformer2DModel(in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
                                         out_channels=4, text_embed_dim=16, time_embed_dim=16, condition_dim=4,
                                         pos_embed_max_size=8, sample_size=8)
for weights in network.parameters():
    torch.nn.init.normal_(weights, std=0.3)
# Nothing is encoded: embeddings are given.
pipeline = CogView3PlusPipeline(None, None, autoencoder, network, CogVideoXDDIMScheduler(prediction_type="v_prediction"))
pipeline.set_progress_bar_config(disable=True)


def draw(prompt: torch.Tensor, negative: torch.Tensor | None, guidance: float = 5.0) -> torch.Tensor:
    given = {} if negative is None else {"negative_prompt_embeds": negative}
    return pipeline(prompt_embeds=prompt, **given, height=16, width=16, num_inference_steps=2, guidance_scale=guidance,
                    generator=torch.Generator().manual_seed(0), output_type="latent").images


prompt, one, other = torch.randn(1, 5, 16), torch.randn(1, 5, 16), 10 * torch.randn(1, 5, 16)
drawn = draw(prompt, one)
told = {
    "another negative prompt": draw(prompt, other),
    "none": draw(prompt, None),
    "the prompt itself": draw(prompt, prompt),
    "zeros": draw(prompt, torch.zeros_like(prompt)),
}
for what, latents in told.items():
    print(f"{what}: the same latents", torch.equal(drawn, latents))
    assert torch.equal(drawn, latents)
prompts = (draw(other, one) - drawn).abs().max()
guidance = (draw(prompt, one, 2.0) - drawn).abs().max()
print(f"another prompt moves them by {prompts:.2f}, less guidance by {guidance:.2f}")
assert prompts > 0.1
assert guidance > 0.1
PYTHON
