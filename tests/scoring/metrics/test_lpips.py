"""LPIPS from files: the library's numbers, its weights never fetched, wrong files refused."""

import pytest
import torch
from trilemma.models.errors import BadCheckpoint
from trilemma.models.scoring.metrics import lpips
from trilemma.tests.peak_memory import peak_bytes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def alexnet():
    """Random weights in torchvision's layout; the classifier, which LPIPS has no use for, is a few bytes of zeros."""
    import torchvision

    with torch.device("meta"):
        shapes = {name: value.shape for name, value in torchvision.models.alexnet(weights=None).state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.zeros(1).expand(shape)
        if name.startswith("classifier")
        else torch.randn(shape, generator=generator) * shape[1:].numel() ** -0.5
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def file(alexnet, tmp_path_factory):
    path = tmp_path_factory.mktemp("lpips") / "alexnet-owt-7be5be79.pth"
    torch.save(alexnet, path)
    return path


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError(f"a download was tried: {arguments}")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)


def images(side=64):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, 3, side, side, generator=generator), torch.rand(1, 3, side, side, generator=generator)


def test_it_is_the_librarys_with_the_same_weights(alexnet, file, no_network):
    from torchmetrics.functional.image.lpips import _LPIPS

    network = lpips.load_lpips("alex", file)
    expected = _LPIPS(net="alex", pnet_rand=True)
    backbone = {name: alexnet["features." + name.split(".", 1)[1]] for name in expected.net.state_dict()}
    expected.net.load_state_dict(backbone)
    one, other = images()
    assert network.distance(one, other) == float(expected(one, other, normalize=True))
    assert network.distance(one, other) > 0
    assert network.distance(one, one) == 0
    assert not any(parameter.requires_grad for module in network.modules for parameter in module.parameters())


def test_pairs_of_a_batch_and_their_derivatives(file):
    network = lpips.load_lpips("alex", file)
    one, other = (torch.cat(pair) for pair in zip(images(), images(), strict=True))
    other = torch.cat([other[:1], other[1:].flip(3)]).requires_grad_()
    found = network.distances(one, other)
    expected = [network.distance(one[[row]], other[[row]].detach()) for row in range(2)]
    torch.testing.assert_close(found.detach(), torch.tensor(expected), rtol=1e-5, atol=1e-7)
    (slope,) = torch.autograd.grad(found.sum(), other)
    step = 1e-3 * slope / slope.norm()
    change = network.distances(one, other.detach() + step).sum() - network.distances(one, other.detach() - step).sum()
    assert float(change) == pytest.approx(2e-3 * float(slope.norm()), rel=0.05)


def test_identity_moves_with_backbone_and_heads(alexnet, file, tmp_path):
    network = lpips.load_lpips("alex", file)
    assert network.identity == lpips.load_lpips("alex", file).identity
    other = tmp_path / file.name
    torch.save({**alexnet, "features.10.bias": alexnet["features.10.bias"] + 1e-3}, other)
    assert lpips.load_lpips("alex", other).identity != network.identity
    (module,) = network.modules
    assert any(name.startswith("lin") for name in module.state_dict())


def test_the_smallest_side_is_named_rightly(file):
    network = lpips.load_lpips("alex", file)
    side = lpips.BACKBONES["alex"].side
    assert network.distance(*images(side)) > 0
    with pytest.raises(RuntimeError):
        network.distance(*images(side - 1))


@pytest.mark.parametrize("net", lpips.BACKBONES)
def test_memory_is_estimated(net):
    from torchmetrics.functional.image.lpips import _LPIPS

    with torch.device("meta"):
        network = _LPIPS(net=net, pnet_rand=True, pretrained=False)
        network.scaling_layer.to("meta")
    for side in (64, 256):
        pair = (torch.empty(1, 3, side, side, device="meta") for _ in range(2))
        with torch.no_grad():
            measured = peak_bytes(lambda pair=pair: network(*pair, normalize=True))
        assert 0.7 < lpips.memory_bytes(net, side, side) / measured < 1.5


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("missing", lambda tensors: {name: value for name, value in tensors.items() if name != "features.3.bias"}),
        ("unexpected", lambda tensors: {**tensors, "features.99.weight": torch.zeros(1)}),
        ("of another shape", lambda tensors: {**tensors, "features.3.bias": torch.zeros(7)}),
    ],
)
def test_another_network_is_refused(alexnet, said, change, tmp_path):
    path = tmp_path / "alexnet-owt-7be5be79.pth"
    torch.save(change(alexnet), path)
    with pytest.raises(
        BadCheckpoint,
        match=r"alexnet-owt-7be5be79.pth, torchvision's alexnet: .* 1 (missing|unexpected|of another shape) ",
    ):
        lpips.load_lpips("alex", path)


@pytest.mark.parametrize("net", lpips.BACKBONES)
def test_a_missing_file_is_named_with_source_size_hash_and_folder(net, tmp_path):
    file = lpips.BACKBONES[net].file
    message = str(lpips.missing_file(net, tmp_path / "metrics"))
    for part in (file.name, file.source, f"{file.bytes:,}", file.sha256, str(tmp_path / "metrics")):
        assert part in message
    begins = file.name.rpartition("-")[2].removesuffix(".pth")
    assert file.sha256.startswith(begins) and len(file.sha256) == 64
