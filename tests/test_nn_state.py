"""What the layers keep: results that belong to the caller, seeds, state, copies and files."""

import copy
import json
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastml import data, nn, optim
from fastml.nn._reuse import MIN_BYTES

from .common import normal
from .test_nn import mlp

# --- results belong to the caller ----------------------------------------------------------------------------


def big_layers():
    n = MIN_BYTES // 4 // 16
    x = normal((n, 16))
    return [(nn.Linear(16, 16, seed=0), x), (nn.BatchNorm(16), x), (nn.ReLU(), x), (nn.Dropout(0.5, seed=0), x)]


@pytest.mark.parametrize("i", range(4))
def test_results_are_not_overwritten_while_referred_to(i):
    layer, x = big_layers()[i]
    held = []
    for step in range(5):
        y = layer(x + step)
        dx = layer.backward(x - step)
        view = y[3:5]
        held.append((y, y.copy(), dx, dx.copy(), view, view.copy()))
        y = dx = None
    views = []
    for step in range(5):
        view = layer(x * step)[1:]
        views.append((view, view.copy()))
    for record in [*held, *views]:
        for array, copied in zip(record[::2], record[1::2], strict=True):
            np.testing.assert_array_equal(array, copied)
    assert len({id(record[0]) for record in held}) == 5


@pytest.mark.parametrize("i", range(4))
def test_large_and_small_results_agree_in_type(i):
    layer, x = big_layers()[i]
    for dtype in (np.float64, np.int32):
        large, small = x.astype(dtype), x[:8].astype(dtype)
        if i == 1:  # the running statistics are float32: the batch's type is not theirs
            layer = nn.BatchNorm(16, affine=False, track_running_stats=False)
        for n, grad_dtype in [(len(x), np.float64), (len(x), np.float32)]:
            y, y_small = layer(large), layer(small)
            assert y.dtype == y_small.dtype
            grad_small = layer.backward(np.ones((8, 16), grad_dtype))
            layer(large)
            assert layer.backward(np.ones((n, 16), grad_dtype)).dtype == grad_small.dtype


def test_free_results_are_used_again():
    layer, x = nn.ReLU(), np.ones(MIN_BYTES, np.float32)
    places = set()
    for _ in range(6):
        y = layer(x)
        places.add(y.ctypes.data)
        del y
    assert len(places) == 1
    for shape in [(5, MIN_BYTES), (MIN_BYTES,), (5, MIN_BYTES)]:
        x = np.ones(shape, np.float32)
        np.testing.assert_array_equal(layer(x), x)
    assert layer(x.astype(np.float64)).dtype == np.float64
    y = layer(x)
    y.flags.writeable = False
    del y
    np.testing.assert_array_equal(layer(x), x)


def test_loss_gradients_are_not_overwritten_while_referred_to():
    loss_fn, target = nn.CrossEntropyLoss(), np.zeros(MIN_BYTES // 16, np.int64)
    held = [loss_fn(normal((MIN_BYTES // 16, 4), seed=s), target)[1] for s in range(4)]
    for s, grad in enumerate(held):
        np.testing.assert_array_equal(grad, loss_fn(normal((MIN_BYTES // 16, 4), seed=s), target)[1])


def test_threads_may_share_a_model_in_evaluation():
    model = nn.Sequential(nn.Linear(16, 16, seed=0), nn.BatchNorm(16), nn.ReLU(), nn.Linear(16, 16, seed=1)).eval()
    inputs = [normal((MIN_BYTES // 32, 16), seed=i) for i in range(8)]
    expected = [model(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            for y, want in zip(pool.map(model, inputs), expected, strict=True):
                np.testing.assert_array_equal(y, want)


# --- seeds ---------------------------------------------------------------------------------------------------


def test_manual_seed_fixes_initialisation_and_masks():
    def build():
        nn.manual_seed(42)
        model = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 8), nn.Dropout(0.5))
        return model, [model(normal((3, 6))) for _ in range(3)]

    (a, outputs), (b, again) = build(), build()
    np.testing.assert_array_equal(outputs, again)
    assert not np.array_equal(a[0].weight.value[0], a[2].weight.value[0, :6])
    assert a[1].seed != a[3].seed and a[1].seed == b[1].seed
    assert nn.Dropout(0.5).seed != nn.Dropout(0.5).seed


def test_seeds_refused():
    for seed, error in [(-1, ValueError), (1.0, TypeError), ("a", TypeError), (True, TypeError), (None, TypeError)]:
        with pytest.raises(error, match="seed"):
            nn.manual_seed(seed)
    for make in (lambda s: nn.Linear(2, 2, seed=s), lambda s: nn.Dropout(seed=s)):
        with pytest.raises(ValueError, match="-1"):
            make(-1)
        with pytest.raises(TypeError, match="seed must be an integer or None, not 0.5"):
            make(0.5)
    with pytest.raises(ValueError, match="18446744073709551616"):
        nn.Dropout(seed=1 << 64)
    for use in (
        nn.manual_seed,
        lambda s: nn.Linear(2, 2, seed=s),
        lambda s: data.split(np.arange(9), seed=s),
        lambda s: data.make_xor(9, seed=s),
    ):
        with pytest.raises(ValueError, match="seed must be at most 18446744073709551615"):
            use(10**30)
    assert nn.Dropout(seed=(1 << 64) - 1).seed == (1 << 64) - 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.Linear(2**40, 2**40), "Linear(in_features=1099511627776, out_features=1099511627776)"),
        (lambda: nn.Linear(2**24, 2**24), "Linear(in_features=16777216, out_features=16777216)"),
        (lambda: nn.BatchNorm(2**47), "BatchNorm(num_features=140737488355328)"),
        (lambda: nn.GroupNorm(2, 2**47), "GroupNorm(channels=140737488355328)"),
        (lambda: nn.LayerNorm((2**40, 2**40)), "LayerNorm(normalized_shape=(1099511627776, 1099511627776))"),
    ],
)
def test_layers_that_no_memory_holds(make, said):
    with pytest.raises(MemoryError, match=re.escape(f"{said} needs more memory than there is")):
        make()


# --- state, copies, files ------------------------------------------------------------------------------------


def test_state_dict_has_pytorchs_names_and_is_a_snapshot():
    model = mlp()
    state = model.state_dict()
    assert {name: (value.shape, value.dtype.name) for name, value in state.items()} == {
        "0.weight": ((5, 6), "float32"),
        "1.weight": ((5,), "float32"),
        "1.bias": ((5,), "float32"),
        "1.running_mean": ((5,), "float32"),
        "1.running_var": ((5,), "float32"),
        "1.num_batches_tracked": ((), "int64"),
        "4.weight": ((3, 5), "float32"),
        "4.bias": ((3,), "float32"),
    }
    before = copy.deepcopy(state)
    x = normal((8, 6))
    model(x)
    model[0].weight.value[:] = 0
    np.testing.assert_equal(state, before)
    places = [p.value for p in model.parameters()]
    model.load_state_dict(state)
    assert all(p.value is place for p, place in zip(model.parameters(), places, strict=True))
    np.testing.assert_equal(model.state_dict(), before)
    assert model[1].num_batches_tracked == 0


def test_a_wrong_state_is_refused_as_a_whole():
    model = mlp()
    before = model.state_dict()
    state = {**model.state_dict(), "0.weight": np.zeros((6, 5)), "9.bias": np.zeros(3)}
    state["4.bias"] = np.full(3, 7.0)
    del state["1.running_var"]
    with pytest.raises(ValueError) as error:
        model.load_state_dict(state)
    for text in ("missing: 1.running_var", "unexpected: 9.bias", "0.weight: shape (6, 5) instead of (5, 6)"):
        assert text in str(error.value)
    with pytest.raises(TypeError, match="4.bias"):
        model.load_state_dict({**before, "4.bias": np.array(["a", "b", "c"])})
    np.testing.assert_equal(model.state_dict(), before)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_go_on_like_the_original(duplicate):
    model, x = mlp(p=0.5).train(), normal((8, 6))
    model(x)
    twin = duplicate(model)
    with pytest.raises(RuntimeError):
        twin.backward(normal((8, 3)))
    np.testing.assert_array_equal(twin(x), model(x))
    np.testing.assert_equal(twin.state_dict(), model.state_dict())
    twin[0].weight.value[:] = 0
    assert model[0].weight.value.any()
    loss_fn = duplicate(nn.CrossEntropyLoss(reduction="sum"))
    assert loss_fn(x, np.zeros(8, int))[1].shape == x.shape


def test_save_and_load(tmp_path):
    model, path = mlp(), tmp_path / "model.safetensors"
    model(normal((8, 6)))
    nn.save(model, path, metadata={"classes": "a,b,c"})
    state = nn.load(path)
    np.testing.assert_equal(state, model.state_dict())
    assert nn.load_metadata(path) == {"classes": "a,b,c"}
    other = mlp()
    other.load_state_dict(state)
    np.testing.assert_array_equal(other.eval()(normal((4, 6))), model.eval()(normal((4, 6))))
    # Any layout is written as it reads.
    arrays = {"f": np.asfortranarray(normal((3, 4))), "s": normal((6, 4))[::2], "b": normal(3).astype(">f4")}
    nn.save(arrays, str(path))
    np.testing.assert_equal(nn.load(path), {k: v.astype(np.float32) for k, v in arrays.items()})
    assert nn.load_metadata(path) == {}
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_files_are_reproducible(tmp_path):
    """What safetensors itself reads, each array aligned, and the same bytes for the same arrays and texts."""
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "file"
    types = ("?", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8")
    arrays = {f"{t} é {shape}": np.ones(shape, t) for t in types for shape in [(), (0, 3), (5,), (2, 3, 4)]}
    for metadata in ({}, {"ü": '"\n\\'}):
        nn.save(arrays, path, metadata=metadata)
        np.testing.assert_equal(numpy.load_file(path), arrays)
        np.testing.assert_equal(nn.load(path), arrays)
        assert nn.load_metadata(path) == metadata
    length = int.from_bytes(path.read_bytes()[:8], "little")
    head = json.loads(path.read_bytes()[8 : 8 + length])
    assert length % 8 == 0
    assert all(head[name]["data_offsets"][0] % a.itemsize == 0 for name, a in arrays.items())
    metadata = {str(i): "x" * i for i in range(50)}
    nn.save(arrays, path, metadata=metadata)
    whole = path.read_bytes()
    nn.save(arrays, path, metadata=metadata)
    assert path.read_bytes() == whole and list(nn.load_metadata(path)) == list(metadata)


def test_bfloat16_files(tmp_path):
    """Each value as the float32 of the same value: of all 65 536."""
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    values = torch.arange(65536, dtype=torch.int32).to(torch.int16).view(torch.bfloat16).reshape(256, 256)
    path = tmp_path / "b.safetensors"
    save_file(
        {"all": values, "none": values[:0].clone(), "one": values[1, 2].clone(), "half": values.to(torch.float16)}, path
    )
    state = nn.load(path)
    assert {name: (a.shape, a.dtype.name) for name, a in state.items()} == {
        "all": ((256, 256), "float32"),
        "none": ((0, 256), "float32"),
        "one": ((), "float32"),
        "half": ((256, 256), "float16"),
    }
    assert (state["all"].view(np.uint32) == (np.arange(65536).reshape(256, 256).astype(np.uint32) << 16)).all()
    assert state["one"] == values[1, 2].float().numpy()
    assert all(a.flags.writeable for a in state.values())
    save_file({"f8": torch.zeros(3).to(torch.float8_e5m2)}, path)
    with pytest.raises(ValueError, match="b.safetensors is not a safetensors file: NumPy has no type for F8_E5M2"):
        nn.load(path)


def test_pytorch_reads_the_file(tmp_path):
    torch = pytest.importorskip("torch")
    load_file = pytest.importorskip("safetensors.torch").load_file
    model, path = mlp(), tmp_path / "model.safetensors"
    nn.save(model, path)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 5, bias=False),
        torch.nn.BatchNorm1d(5),
        torch.nn.ReLU(),
        torch.nn.Dropout(),
        torch.nn.Linear(5, 3),
    ).eval()
    theirs.load_state_dict(load_file(path))
    x = normal((4, 6))
    with torch.no_grad():
        np.testing.assert_allclose(model.eval()(x), theirs(torch.from_numpy(x)), rtol=1e-5, atol=1e-6)


def test_files_refused(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(FileNotFoundError):
        nn.load(path)
    with pytest.raises(FileNotFoundError):
        nn.load_metadata(path)
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match="file is not a safetensors file"):
        nn.load(path)
    with pytest.raises(TypeError, match="list"):
        nn.save([1, 2], path)
    optimizer = optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    with pytest.raises(TypeError, match=r"model_or_state\['state'\] must be an array, not dict: .*nn.save_checkpoint"):
        nn.save(optimizer.state_dict(), path)
    with pytest.raises(TypeError, match="text must be an array of numbers, not of <U1"):
        nn.save({"text": np.array(["a"])}, path)
    for name in (3, "__metadata__"):
        with pytest.raises(TypeError, match="the name of an array must be"):
            nn.save({name: np.ones(2)}, path)
    with pytest.raises(TypeError, match="metadata"):
        nn.save({}, path, metadata={"epochs": 3})
    with pytest.raises(OSError):
        nn.save({}, tmp_path / "no folder" / "file")
    assert path.read_bytes() == b"not a model"
