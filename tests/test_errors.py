"""Wrong arguments: the same exception from the function and its reference, naming the argument, and nothing written."""

import numpy as np
import pytest

import fastml
from fastml import reference

from .common import OPS, copy_args, map_arrays

every_module = pytest.mark.parametrize("module", [fastml, reference], ids=["fastml", "reference"])
every_op = pytest.mark.parametrize("op", OPS, ids=lambda op: op.id)
BY_ID = {op.id: op for op in OPS}


def assert_raises(op, module, error, match, args):
    """See the error, and that out and the arrays updated in place are as before."""
    given = copy_args(args)
    if op.out is not None and "out" not in given:
        valid = op.make((6, 5), np.float32, seed=1)
        given["out"] = np.full(op.run(valid, reference)[op.out].shape, 99, np.float32)
    before = copy_args(given)
    with pytest.raises(error, match=match) as caught:
        op.run(given, module)
    assert error in type(caught.value).__mro__ and len(str(caught.value)) < 300
    for name in ("out", *op.mutated):
        if isinstance(before.get(name), np.ndarray):
            np.testing.assert_array_equal(given[name], before[name], err_msg=f"{name} was written")
        elif isinstance(before.get(name), list):
            for g, b in zip(given[name], before[name], strict=False):
                np.testing.assert_array_equal(g, b, err_msg=f"{name} was written")


@pytest.mark.parametrize("kind", ["c8", "f2", "U3", "O", "M8[s]"])
@every_module
@every_op
def test_wrong_dtype(op, module, kind):
    args = op.make((6, 5), np.float32, seed=1)
    for name in op.arrays:
        if name in args:
            wrong = map_arrays(args, [name], lambda a: np.zeros(a.shape, kind))
            assert_raises(op, module, TypeError, name, wrong)


@every_module
@every_op
def test_masked_arrays(op, module):
    """Also in a list, where NumPy drops the mask in silence."""
    args = op.make((6, 5), np.float32, seed=1)
    for name in op.arrays:
        if name in args:
            with pytest.raises(TypeError, match=name):
                op.run(map_arrays(args, [name], np.ma.masked_invalid), module)
            if isinstance(args[name], np.ndarray) and name not in op.mutated:
                with pytest.raises(TypeError, match=name):
                    op.run({**args, name: [np.ma.masked_invalid(args[name])]}, module)


@every_module
@every_op
def test_wrong_shape(op, module):
    """Every array but the first with one axis more, and one element more along its last axis."""
    args = op.make((6, 5), np.float32, seed=1)
    for name in op.arrays[1:]:
        if name in args:
            for grow in (lambda a: a[..., None], lambda a: np.concatenate([a, a[..., :1]], axis=-1)):
                assert_raises(op, module, ValueError, name, map_arrays(args, [name], grow))


@every_module
@every_op
def test_wrong_axis(op, module):
    if op.axis is None:
        pytest.skip("no axis")
    args = op.make((6, 5), np.float32, seed=1)
    for axis in (2, -3, 2**40):
        assert_raises(op, module, ValueError, "axis", {**args, op.axis: axis})
    for axis in (1.0, "0", {}):
        assert_raises(op, module, TypeError, "axis", {**args, op.axis: axis})


@every_module
@every_op
def test_missing_and_unknown_arguments(op, module):
    args = op.make((6, 5), np.float32, seed=1)
    with pytest.raises(TypeError):
        op.run({**args, "unheard_of": 1}, module)
    with pytest.raises(TypeError):
        op.run({}, module)


NAN, INF = float("nan"), float("inf")
BIG_SEED = 2**64

WRONG_OPTIONS = [
    ("logsumexp", ValueError, "axis", {"axis": (0, 0)}),
    ("logsumexp", ValueError, "axis", {"axis": (0, 2)}),
    ("cross_entropy", IndexError, "target", {"target": np.array([0, 1, 2, 3, 4, 5])}),
    ("cross_entropy", IndexError, "target", {"target": np.array([0, 1, 2, 3, 4, -1])}),
    ("cross_entropy", IndexError, "target", {"target": np.full(6, -100)}),
    ("cross_entropy", IndexError, "target", {"target": np.full(6, 2**63, np.uint64)}),
    ("cross_entropy", TypeError, "target", {"target": np.zeros(6, bool)}),
    ("cross_entropy", ValueError, "logits", {"logits": np.zeros((6, 0), np.float32)}),
    ("cross_entropy", ValueError, "reduction", {"reduction": "average"}),
    ("cross_entropy", ValueError, "reduction", {"reduction": None}),
    ("cross_entropy", ValueError, "label_smoothing", {"label_smoothing": -0.1}),
    ("cross_entropy", ValueError, "label_smoothing", {"label_smoothing": 1.5}),
    ("cross_entropy", ValueError, "label_smoothing", {"label_smoothing": NAN}),
    ("cross_entropy", TypeError, "label_smoothing", {"label_smoothing": "0.1"}),
    ("cross_entropy", TypeError, "ignore_index", {"ignore_index": 1.0}),
    ("cross_entropy", ValueError, "weight", {"weight": np.ones(6)}),
    ("cross_entropy[probabilities]", ValueError, "ignore_index", {"ignore_index": 0}),
    ("cross_entropy[probabilities]", ValueError, "target", {"target": np.ones((6, 1))}),
    ("cross_entropy", ValueError, "z_loss", {"z_loss": -1e-4}),
    ("cross_entropy", ValueError, "z_loss", {"z_loss": NAN}),
    ("cross_entropy", TypeError, "z_loss", {"z_loss": "1e-4"}),
    ("nll_loss", IndexError, "target", {"target": np.array([0, 1, 2, 3, 4, 5])}),
    ("nll_loss", ValueError, "log_probs", {"log_probs": np.zeros((6, 0), np.float32)}),
    ("nll_loss", ValueError, "reduction", {"reduction": "batchmean"}),
    ("nll_loss", TypeError, "z_loss", {"z_loss": 1e-4}),
    ("huber_loss", ValueError, "delta", {"delta": 0}),
    ("huber_loss", ValueError, "delta", {"delta": NAN}),
    ("huber_loss", ValueError, "delta", {"delta": -1.0}),
    ("huber_loss", TypeError, "delta", {"delta": "1"}),
    ("kl_div_loss", ValueError, "reduction", {"reduction": "average"}),
    ("l1_loss", ValueError, "reduction", {"reduction": "batchmean"}),
    ("batch_norm", ValueError, "eps", {"eps": -1e-5}),
    ("batch_norm", ValueError, "eps", {"eps": NAN}),
    ("batch_norm", TypeError, "eps", {"eps": "1e-5"}),
    ("batch_norm", TypeError, "momentum", {"momentum": None}),
    ("batch_norm", ValueError, "momentum", {"momentum": 3}),
    ("batch_norm", ValueError, "momentum", {"momentum": -0.1}),
    ("softplus", ValueError, "beta", {"beta": 0}),
    ("softplus_backward", ValueError, "beta", {"beta": 0.0}),
    ("batch_norm", ValueError, "running", {"running_mean": None, "training": False}),
    ("batch_norm", ValueError, "running", {"running_var": None, "training": False}),
    ("batch_norm", TypeError, "running_mean", {"running_mean": [0.0] * 5}),
    ("batch_norm", TypeError, "running_var", {"running_var": np.ones(5, np.int64)}),
    ("dropout_mask", ValueError, "shape", {"shape": (3, -1)}),
    ("dropout_mask", TypeError, "shape", {"shape": (3, 1.0)}),
    ("dropout_mask", TypeError, "shape", {"shape": "34"}),
    ("linear", ValueError, "activation", {"activation": "softmax"}),
    ("sgd_step", TypeError, "params", {"params": np.zeros((6, 5), np.float32)}),
    ("sgd_step", ValueError, "grads", {"grads": [np.zeros((6, 5), np.float32)]}),
    ("sgd_step", ValueError, "velocities", {"velocities": []}),
    ("sgd_step", ValueError, "velocities", {"velocities": None, "momentum": 0.9}),
    ("sgd_step", ValueError, "lr", {"lr": -0.1}),
    ("sgd_step", ValueError, "lr", {"lr": NAN}),
    ("sgd_step", TypeError, "lr", {"lr": "fast"}),
    ("sgd_step", ValueError, "momentum", {"momentum": -0.9}),
    ("sgd_step", ValueError, "weight_decay", {"weight_decay": -1}),
    ("sgd_step", ValueError, "nesterov", {"nesterov": True}),
    ("sgd_step", ValueError, "nesterov", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
]
for _name, _option in (
    ("elu", "alpha"),
    ("leaky_relu", "negative_slope"),
    ("softplus", "beta"),
    ("softplus", "threshold"),
):
    for _end in ("", "_backward"):
        WRONG_OPTIONS += [
            (_name + _end, ValueError, _option, {_option: NAN}),
            (_name + _end, TypeError, _option, {_option: "1"}),
            (_name + _end, TypeError, _option, {_option: None}),
            (_name + _end, TypeError, _option, {_option: True}),
        ]
for _name in ("dropout", "dropout_backward", "dropout_mask"):
    WRONG_OPTIONS += [
        (_name, ValueError, "p", {"p": -0.1}),
        (_name, ValueError, "p", {"p": 1.1}),
        (_name, ValueError, "p", {"p": NAN}),
        (_name, TypeError, "p", {"p": "0.5"}),
        (_name, ValueError, "seed", {"seed": -1}),
        (_name, ValueError, "seed", {"seed": BIG_SEED}),
        (_name, TypeError, "seed", {"seed": 1.0}),
        (_name, TypeError, "seed", {"seed": True}),
        (_name, TypeError, "seed", {"seed": None}),
        (_name, ValueError, "offset", {"offset": -1}),
        (_name, ValueError, "offset", {"offset": BIG_SEED}),
        (_name, TypeError, "offset", {"offset": 0.5}),
        (_name, TypeError, "offset", {"offset": False}),
    ]
WRONG_OPTIONS += [
    ("cross_entropy_with_grad" + name.removeprefix("cross_entropy"), *rest)
    for name, *rest in WRONG_OPTIONS
    if name.startswith("cross_entropy")
]


@pytest.mark.parametrize("name, error, match, options", WRONG_OPTIONS)
@every_module
def test_wrong_option(module, name, error, match, options):
    op = BY_ID[name]
    assert_raises(op, module, error, match, {**op.make((6, 5), np.float32, seed=1), **options})


@pytest.mark.parametrize("name", ["batch_norm", "batch_norm_backward"])
@every_module
def test_one_value_per_channel(module, name):
    args = BY_ID[name].make((2, 5), np.float32, seed=1)
    for array in ("grad", "x"):
        if array in args:
            args[array] = args[array][:1]
    with pytest.raises(ValueError, match="one value per channel"):
        getattr(module, name)(**args)


@pytest.mark.parametrize("name", ["cross_entropy", "linear", "linear_backward", "batch_norm"])
@every_module
def test_zero_dimensions(module, name):
    args = BY_ID[name].make((2, 5), np.float32, seed=1)
    first = BY_ID[name].arrays[0]
    with pytest.raises(ValueError, match=first + "|axis"):
        getattr(module, name)(**{**args, first: np.float32(1)})


@every_module
def test_read_only_arrays_are_not_updated(module):
    for name in ("batch_norm", "sgd_step[nesterov]"):
        op = BY_ID[name]
        for mutated in op.mutated:
            args = op.make((6, 5), np.float32, seed=1)
            read_only = args[mutated][-1] if isinstance(args[mutated], list) else args[mutated]
            read_only.flags.writeable = False
            before = copy_args(args)
            with pytest.raises(ValueError, match=mutated):
                op.run(args, module)
            for other in op.mutated:
                for g, b in zip(args[other], before[other], strict=True):
                    np.testing.assert_array_equal(g, b, err_msg=other)
