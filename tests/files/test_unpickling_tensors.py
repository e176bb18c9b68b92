"""Tensors of every kind that PyTorch and NumPy pickle: what stands for the same numbers comes out as these numbers."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from trilemma.models.errors import BadCheckpoint
from trilemma.models.files import checkpoints
from trilemma.models.files.converting import convert
from trilemma.models.files.unpickling import as_tensor, contents, machine
from trilemma.tests.files import python2

SQUARE = torch.tensor([[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, -3.0], [0.5, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 4.0]])
COMPLEX = torch.complex(SQUARE, SQUARE.flip(0) + 1)

with warnings.catch_warnings():
    # PyTorch tells at the first sparse tensor of a process that it may change.
    warnings.simplefilter("ignore")
    TWICE = torch.sparse_coo_tensor(torch.tensor([[0, 0, 1], [1, 1, 0]]), torch.tensor([1.0, 2.0, 5.0]), (2, 2))

    KINDS = {
        "coo": SQUARE.to_sparse(),
        "coo, one place twice": TWICE,
        "coo, dense rows": SQUARE.to_sparse(1),
        "coo, half": SQUARE.half().to_sparse(),
        "coo, integers": SQUARE.int().to_sparse(),
        "coo, empty": torch.zeros(3, 0).to_sparse(),
        "csr": SQUARE.to_sparse_csr(),
        "csc": SQUARE.to_sparse_csc(),
        "bsr": SQUARE.to_sparse_bsr((2, 2)),
        "bsc": SQUARE.to_sparse_bsc((2, 2)),
        "conjugate": COMPLEX.conj(),
        "conjugate, turned": COMPLEX.t().conj()[1:],
        "negative": COMPLEX.conj().imag,
        "negative and conjugate": torch._neg_view(COMPLEX).conj(),
        "negative, float64": COMPLEX.to(torch.complex128).conj().imag,
    }


@pytest.mark.filterwarnings("ignore:.*[Ss]parse")
@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_for_numbers_comes_out_as_these(kind, new_format, tmp_path):
    value = KINDS[kind]
    torch.save({"w": value, "same": SQUARE}, tmp_path / "x.pt", _use_new_zipfile_serialization=new_format)
    expected = (value.to_dense() if value.layout != torch.strided else value).resolve_conj().resolve_neg()
    found = checkpoints.read(tmp_path / "x.pt").tensors["w"]
    assert (found.layout, found.is_conj(), found.is_neg()) == (torch.strided, False, False)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)
    assert torch.equal(checkpoints.read(tmp_path / "x.pt").tensors["same"], SQUARE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*[Ss]parse")
def test_converted_they_are_the_same(tmp_path):
    held = {kind: value for kind, value in KINDS.items() if value.dtype != torch.complex128 and "neg" not in kind}
    held["negative"] = COMPLEX.clone().conj().imag
    torch.save(held, tmp_path / "x.pt")
    done = convert(tmp_path / "x.pt")
    found = checkpoints.read(done.path).tensors
    assert found.keys() == held.keys()
    for kind, value in held.items():
        expected = (value.to_dense() if value.layout != torch.strided else value).resolve_conj().resolve_neg()
        assert torch.equal(found[kind], expected), kind


def test_sparse_tensors_are_made_whole_up_to_a_limit(tmp_path, monkeypatch):
    """A thousand bytes can stand for as many gigabytes as their author likes."""
    huge = torch.sparse_coo_tensor(torch.tensor([[0], [0]]), torch.ones(1), (10**6, 10**6))
    torch.save({"w": huge}, tmp_path / "x.pt")
    with pytest.raises(BadCheckpoint, match=r"a sparse tensor of shape \(1000000, 1000000\); made whole, .* 268 MB"):
        checkpoints.read(tmp_path / "x.pt")
    monkeypatch.setattr(machine, "MAX_SPARSE", 150)
    torch.save({"a": SQUARE.to_sparse(), "b": SQUARE.to_sparse()}, tmp_path / "x.pt")
    assert len(checkpoints.read(tmp_path / "x.pt").tensors) == 2
    torch.save({name: SQUARE.to_sparse() for name in "abc"}, tmp_path / "x.pt")
    with pytest.raises(BadCheckpoint, match="made whole"):
        checkpoints.read(tmp_path / "x.pt")


@pytest.mark.parametrize("indices", [[[0], [4]], [[-1], [0]], [[2**40], [0]]])
def test_a_sparse_tensor_reaches_no_place_beyond_its_shape(indices, tmp_path):
    parts = (torch.tensor(indices), torch.ones(1), torch.Size((2, 2)), True)
    call = (torch._utils._rebuild_sparse_tensor, (torch.sparse_coo, parts))
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"w": Reduced(*call)}))
    with pytest.raises(BadCheckpoint, match="a tensor in a way that makes no sense"):
        checkpoints.read(tmp_path / "x.pkl")


class Reduced:
    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns first": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "other byte order": np.arange(6, dtype=">f8").reshape(2, 3),
    "turned": np.arange(24, dtype=np.int64).reshape(2, 3, 4).transpose(2, 0, 1),
    "every second": np.arange(10, dtype=np.int16)[::2],
    "number": np.array(3.5),
    "empty": np.zeros((0, 4), np.float16),
    "large": np.arange(3000, dtype=np.float64),
    "truth": np.array([True, False]),
    "complex": np.array([1 + 2j], np.complex64),
}


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_are_weights(protocol, tmp_path):
    """As older and other libraries save a network: a dict of NumPy's arrays, under a wrapper or not."""
    for content in (ARRAYS, {"params": ARRAYS, "epoch": 3}):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol))
        found = checkpoints.read(tmp_path / "x.pkl").tensors
        assert found.keys() == ARRAYS.keys()
        for name, array in ARRAYS.items():
            expected = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
            assert found[name].dtype == expected.dtype, name
            assert torch.equal(found[name], expected), name


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_arrays_of_python_2_are_read(protocol, tmp_path):
    """Their bytes are a text."""
    array = np.random.default_rng(0).random((3, 5)).astype(np.float32)
    (tmp_path / "x.pkl").write_bytes(python2.dumps([array, "name"], protocol))
    found, name = contents(tmp_path / "x.pkl")
    np.testing.assert_array_equal(as_tensor(found).numpy(), array)
    assert name == "name"


def test_arrays_beside_tensors_are_converted(tmp_path):
    torch.save({"w": SQUARE, "mean": np.arange(500, dtype=np.float32)}, tmp_path / "x.pt")
    done = convert(tmp_path / "x.pt")
    assert torch.equal(checkpoints.read(done.path).tensors["mean"], torch.arange(500.0))
    assert done.notes == ()


def test_what_is_left_out_is_told(tmp_path):
    """Tensors and arrays beside the network that is taken, and kinds of tensor that are not rebuilt."""
    content = {
        "state_dict": {"w": SQUARE, "words": np.array(["a", "b"]), "dates": np.array(["2020-01-01"], "M8[D]")},
        "mean": np.arange(3),
        "path_mean": torch.ones(3),
        "queue": np.zeros(5000),
        "epoch": 7,
    }
    torch.save(content, tmp_path / "x.pt")
    done = convert(tmp_path / "x.pt")
    assert done.notes == (
        "left out what the file also holds: path_mean, queue",
        "left out what the file also holds: words, dates",
    )
    checkpoint = checkpoints.read(done.path)
    assert checkpoint.tensors.keys() == {"w"}
    assert checkpoint.values["mean"] == [0, 1, 2]
    assert checkpoint.values["epoch"] == 7


@pytest.mark.parametrize(
    "state",
    [
        (1, (3,), np.dtype("f4"), False, bytes(8)),
        (1, (-1,), np.dtype("f4"), False, b""),
        (1, (2**62, 2**62), np.dtype("f4"), False, b""),
        (1, (2,), np.dtype(object), False, [1]),
        (1, (2,), np.dtype(object), False, bytes(16)),
    ],
)
def test_arrays_are_no_larger_than_their_bytes(state, tmp_path):
    parts = (np.zeros(0).__reduce__()[0], (np.ndarray, (0,), b"b"), state)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"w": Reduced(*parts)}))
    with pytest.raises(BadCheckpoint):
        checkpoints.read(tmp_path / "x.pkl")
