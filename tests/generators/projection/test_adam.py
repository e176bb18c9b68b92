import pytest
import torch
from trilemma.models.generators.projection.adam import Adam


@pytest.mark.slow
def test_it_is_torchs():
    generator = torch.Generator().manual_seed(0)
    ours = [torch.randn(shape, generator=generator) for shape in ((2, 3), (4,))]
    theirs = [each.clone().requires_grad_() for each in ours]
    adam, expected = Adam(ours), torch.optim.Adam(theirs, betas=(0.9, 0.999))
    for rate in (0.0, 0.1, 0.02, 0.3):
        derivatives = [torch.randn(each.shape, generator=generator) * 10**rate for each in ours]
        adam.step(derivatives, rate)
        expected.param_groups[0]["lr"] = rate
        for each, derivative in zip(theirs, derivatives, strict=True):
            each.grad = derivative.clone()
        expected.step()
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other.detach(), rtol=1e-5, atol=1e-6)
