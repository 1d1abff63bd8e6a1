"""The stubs against what is there when it runs: names, signatures, types of results, and lists of options.

What type checkers make of them is in tests/typing; mypy and stubtest look at both in .ci/run.
"""

import __future__

import ast
import inspect
import typing
from functools import cache
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest

import fastml
from fastml import _choices, data, metrics, nn, optim, preprocessing, reference
from fastml.nn import batch_norm
from fastml.ops import linear
from fastml.preprocessing import normalizer

from .common import OPS, ROOT
from .typing.truth import holds

MODULES = [fastml, data, metrics, nn, nn.utils, optim, preprocessing, reference]
try:
    from fastml import estimators

    MODULES.append(estimators)
except ImportError:  # they need scikit-learn
    estimators = None

PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in MODULES
    for name in getattr(module, "__all__", ("clip_grad_norm_", "clip_grad_value_"))
    if not inspect.ismodule(getattr(module, name))
}
FUNCTIONS = [name for name, thing in PUBLIC.items() if not inspect.isclass(thing)]
CLASSES = [name for name, thing in PUBLIC.items() if inspect.isclass(thing) and not issubclass(thing, Exception)]
#: Between a layer, a loss, an optimizer and compile_step alone; and what scikit-learn adds.
OTHERS = {"lower", "lower_each", "set_score_request"}
DUNDERS = {"__call__", "__getitem__", "__iter__", "__len__", "__next__"}
TYPED = ROOT / "tests" / "typing"


def stub_path(module):
    return (ROOT / module.replace(".", "/")).with_suffix(".pyi")


@cache
def stub(module):
    """The names of a module's stub, which is Python."""
    path = stub_path(module)
    names = {"__name__": f"stub of {module}", "__package__": module.rpartition(".")[0]}
    code = compile(path.read_text(), path, "exec", __future__.annotations.compiler_flag, dont_inherit=True)
    exec(code, names)  # noqa: S102 - a file of ours
    return names


def overloads(function):
    """What a function's stub says of it, as functions, and the names in their annotations."""
    names = stub(function.__module__)
    registered = SimpleNamespace(__module__=names["__name__"], __qualname__=function.__name__)
    return typing.get_overloads(registered) or [names[function.__name__]], names


@cache
def stub_classes():
    """name → (names of bases, own names) of all classes in stubs."""
    found = {}
    for path in (ROOT / "fastml").rglob("*.pyi"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base).partition("[")[0] for base in node.bases]
                own = {getattr(item, "name", None) or item.target.id for item in node.body if not is_dots(item)}
                found[node.name] = bases, own
    return found


def is_dots(node):
    return isinstance(node, ast.Expr) and node.value.value is ...


def declared_names(name):
    bases, own = stub_classes().get(name, ((), set()))
    return own.union(*map(declared_names, bases))


@pytest.mark.parametrize("name", PUBLIC)
def test_editors_find_signature_and_docstring(name):
    assert inspect.getdoc(PUBLIC[name])
    if name in FUNCTIONS + CLASSES:
        assert inspect.signature(PUBLIC[name]).parameters is not None


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if not name.startswith("fastml.reference.")])
def test_a_functions_stub_has_its_parameters(name):
    def parameters(function):
        return [(p.name, p.kind) for p in inspect.signature(function).parameters.values() if p.kind != p.VAR_POSITIONAL]

    theirs, _ = overloads(PUBLIC[name])
    for one in theirs:
        own = [(name, kind) for name, kind in parameters(one) if kind != inspect.Parameter.POSITIONAL_ONLY]
        assert own == parameters(PUBLIC[name])
        assert set(one.__annotations__) == {*inspect.signature(one).parameters, "return"}


@pytest.mark.parametrize("name", CLASSES)
def test_a_classs_stub_has_its_names(name):
    kind = PUBLIC[name]
    mine = {
        attribute
        for base in kind.__mro__
        if base.__module__.startswith("fastml")
        for attribute in vars(base)
        if not attribute.startswith("_") or attribute in DUNDERS
    }
    assert mine - OTHERS <= declared_names(kind.__name__)
    assert all(inspect.getdoc(getattr(kind, name)) for name in mine - DUNDERS - OTHERS if callable(getattr(kind, name)))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.id)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_of_the_types_that_the_stub_says(op, dtype):
    """The first overload that takes the arguments has the results' types, the precision included."""
    args = op.make((6, 5), dtype, seed=1)
    theirs, names = overloads(getattr(fastml, op.name))
    names = {**names, "F": dtype}

    def takes(one):
        wanted = {**inspect.get_annotations(one), **dict.fromkeys(args.keys() - one.__annotations__.keys(), "None")}
        required = {p.name for p in inspect.signature(one).parameters.values() if p.default is p.empty}
        return required <= args.keys() and all(holds(value, eval(wanted[name], names)) for name, value in args.items())

    chosen = next(one for one in theirs if takes(one))
    assert holds(getattr(fastml, op.name)(**args), eval(chosen.__annotations__["return"], names)), (
        chosen.__annotations__
    )


def test_every_name_is_used_in_the_typed_examples():
    text = "".join(path.read_text() for path in TYPED.glob("test_*.py"))
    names = [name for name in PUBLIC if name.count(".") == 2 and not name.startswith("fastml.reference.")]
    assert not [name for name in names if name.removeprefix("fastml.").replace("estimators", "fastml") not in text]


def test_what_loads_on_first_use_is_known_to_type_checkers():
    text = (ROOT / "fastml" / "__init__.py").read_text()
    assert all(f"import {name} as {name}\n" in text for name in (*fastml._SUBMODULES, *fastml._ESTIMATORS))


def test_options_are_those_of_the_tables():
    tables = {"Activation": linear._ACTIVATIONS, "Convention": batch_norm._MOMENTUM, "Norm": normalizer._NORMS}
    if estimators:
        from fastml.estimators import network, regressor

        tables |= {"Hidden": network.ACTIVATIONS, "RegressionLoss": regressor._LOSSES}
    for name, table in tables.items():
        assert get_args(getattr(_choices, name)) == tuple(table), name


def test_what_is_not_true_is_seen():
    single, double = np.zeros(2, np.float32), np.zeros(2)
    of_single = np.ndarray[tuple[int], np.dtype[np.float32]]
    assert holds(single, of_single) and not holds(double, of_single) and not holds([0.0], of_single)
    assert holds((single, None), tuple[of_single, None]) and not holds((single,), tuple[of_single, None])
    assert holds(np.float32(1), np.floating) and not holds(np.float32(1), float) and not holds(1.0, int)
    assert holds([1], list[int]) and not holds([1.0], list[int]) and not holds({"a": "b"}, dict[str, int])
    assert holds("a", typing.Literal["a"]) and not holds("b", typing.Literal["a"])
    assert holds(None, int | None) and not holds("", int | None)
