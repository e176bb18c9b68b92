import torch
from trilemma.models.generators.autoregressive import transformer_prior
from trilemma.tests.generators.autoregressive.tiny_codes import CLASSES, CODES, GRID, tiny_prior

PLACES = GRID[0] * GRID[1]


@torch.no_grad()
def test_one_token_passes_the_layers_for_each_code():
    prior = tiny_prior(transformer_prior)
    passed = {name: 0 for name, module in prior.named_modules() if isinstance(module, torch.nn.Linear)}
    for name in passed:

        def count(module, inputs, name=name) -> None:
            passed[name] += inputs[0][..., 0].numel()

        prior.get_submodule(name).register_forward_pre_hook(count)
    labels = torch.arange(3) % CLASSES
    state = prior.begin(labels)
    codes = torch.randint(CODES, (3, PLACES))
    for place in range(PLACES):
        prior.next_logits(state, codes, place)
        assert set(passed.values()) == {3 * (place + 1)}


def test_every_earlier_code_reaches_a_logit_and_no_later_one_does():
    prior = tiny_prior(transformer_prior).double()
    labels = torch.tensor([1])
    embedded = prior.code(torch.randint(CODES, (1, *GRID)))
    for place in range(PLACES):
        given = embedded.clone().requires_grad_(True)
        logits = prior.from_embedding(given.flatten(1, 2), labels)
        (gradient,) = torch.autograd.grad(logits[0, place].square().sum(), given)
        reached = gradient[0].flatten(0, 1).abs().amax(dim=1) > 0
        assert reached.tolist() == [other < place for other in range(PLACES)]
