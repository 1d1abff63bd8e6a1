"""A valid call of every public callable, found by introspection: CALLS by name, made anew for each use."""

import importlib
import inspect
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import fastml
from fastml import data, nn, optim

from . import kinds
from .arrays import normal
from .common import OPS

MODULES = (
    "fastml",
    "fastml.nn",
    "fastml.nn.utils",
    "fastml.optim",
    "fastml.data",
    "fastml.preprocessing",
    "fastml.metrics",
)
FOLDER = Path(tempfile.mkdtemp(prefix="fastml-calls-"))


@dataclass(frozen=True)
class Call:
    """function(**make()), then use(result): what only shows in use belongs to the call."""

    function: object
    make: object = dict
    use: object = lambda result: result
    star: str = ""  # the argument that is handed over one by one (*arrays)
    also: tuple = ()  # arguments of what `use` calls, which an option may be at odds with

    def run(self, args):
        args = dict(args)
        several = args.pop(self.star) if self.star else ()
        return self.use(self.function(*several, **args))


def parameters_of(function):
    """{name: inspect.Parameter}; none for a class that takes what its subclasses do."""
    try:
        return inspect.signature(function).parameters
    except ValueError:
        return {}


def public_callables():
    """{"module.name": callable} of everything public in MODULES but exceptions and warnings."""
    found = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in dir(module):
            value = None if name.startswith("_") else getattr(module, name)
            if not callable(value) or not getattr(value, "__module__", "").startswith("fastml"):
                continue
            if not (inspect.isclass(value) and issubclass(value, BaseException)):
                found[f"{module_name}.{name}"] = value
    return found


# ---- examples -------------------------------------------------------------------------------------------------

X, Y = normal((12, 4), seed=1), np.arange(12) % 3
BINARY = np.arange(12) % 2
P, Q = fastml.softmax(X), fastml.softmax(normal((12, 4), seed=2))


def copies(**arrays):
    return lambda: {
        k: v.copy() if isinstance(v, np.ndarray) else list(v) if isinstance(v, list) else v for k, v in arrays.items()
    }


def params(**options):
    return lambda: {"params": [np.ones(4, np.float32), np.ones((2, 3))], **options}


def two_steps(optimizer):
    for _ in range(2):
        optimizer.step([np.full(4, 0.5, np.float32), np.full((2, 3), 0.5)])


def scheduled(**options):
    return lambda: {"optimizer": optim.SGD([np.ones(4, np.float32)], lr=0.1, momentum=0.9), **options}


def sequence(optimizer):
    return {"optimizer": optimizer, "schedulers": [optim.StepLR(optimizer, n) for n in (2, 3)], "milestones": [2]}


def three_steps(schedule):
    for metric in (3.0, 3.0, 3.0):
        schedule.step(metric) if isinstance(schedule, optim.ReduceLROnPlateau) else schedule.step()


def forward_backward(*shape):
    def use(layer):
        y = layer(normal(shape, seed=3))
        layer.backward(np.ones_like(y))

    return use


def loss_of(x, y):
    return lambda loss_fn: loss_fn(x, y)


def fitted(transformer):
    transformer.fit(X.copy())
    transformer.inverse_transform(transformer.transform(X.copy())) if hasattr(
        transformer, "inverse_transform"
    ) else None


def estimated(y):
    def use(estimator):
        estimator.fit(X, y)
        estimator.predict(X)

    return use


def model_and_optimizer():
    model = nn.Sequential(nn.Linear(4, 3, seed=0))
    return {"model": model, "optimizer": optim.SGD(model.parameters(), lr=0.1)}


def step_arguments():
    return {**model_and_optimizer(), "loss_fn": nn.CrossEntropyLoss()}


def saved(kind):
    model = nn.Sequential(nn.Linear(4, 3, seed=0))
    path = FOLDER / f"{kind}.safetensors"
    nn.save_checkpoint(path, model=model) if kind == "checkpoint" else nn.save(model, path)
    return path


def idx_file():
    data.write_idx(FOLDER / "x.idx", np.arange(6, dtype=np.uint8))
    return {"path": FOLDER / "x.idx"}


LABELS = copies(y_true=Y, y_pred=(Y + BINARY) % 3)
TWO = copies(y_true=BINARY, y_pred=(Y > 0).astype(int))
WEIGHTED = copies(u_values=X[:, 0], v_values=X[:, 1], u_weights=P[:, 0], v_weights=P[:, 1])


def gradients(**options):
    def make():
        parameter = nn.Parameter(np.ones(4, np.float32))
        parameter.grad = np.ones(4, np.float32)
        return {"parameters": [parameter], **options}

    return make


def held_gradients():
    parameters = gradients()()["parameters"]
    return optim.SGD(parameters, lr=0.1), [parameters[0].grad]


EXAMPLES = {
    "fastml.get_num_threads": {},
    "fastml.set_num_threads": {"make": lambda: {"n": fastml.get_num_threads()}},
    "fastml.num_threads": {
        "make": lambda: {"n": 1},
        "use": lambda manager: manager.__enter__() or manager.__exit__(None, None, None),
    },
    "fastml.show_config": {},
    "fastml.merge_norm_stats": {"make": lambda: {"stats": [(2, np.zeros(3), np.ones(3)), (3, np.ones(3), np.ones(3))]}},
    "fastml.MLPClassifier": {
        "make": lambda: {"max_iter": 2, "hidden_layer_sizes": (3,), "random_state": 0},
        "use": estimated(Y),
    },
    "fastml.MLPRegressor": {
        "make": lambda: {"max_iter": 2, "hidden_layer_sizes": (3,), "random_state": 0},
        "use": estimated(X[:, 0]),
    },
    "fastml.nn.Module": {},
    "fastml.nn.Parameter": {"make": lambda: {"value": np.ones(3, np.float32)}},
    "fastml.nn.Linear": {
        "make": lambda: {"in_features": 4, "out_features": 3, "seed": 0},
        "use": forward_backward(5, 4),
    },
    "fastml.nn.BatchNorm": {"make": lambda: {"num_features": 4}, "use": forward_backward(5, 4), "also": ("weight",)},
    "fastml.nn.LayerNorm": {"make": lambda: {"normalized_shape": 4}, "use": forward_backward(5, 4)},
    "fastml.nn.RMSNorm": {"make": lambda: {"normalized_shape": 4}, "use": forward_backward(5, 4)},
    "fastml.nn.GroupNorm": {"make": lambda: {"num_groups": 2, "num_channels": 4}, "use": forward_backward(5, 4)},
    "fastml.nn.InstanceNorm": {"make": lambda: {"num_features": 4}, "use": forward_backward(5, 4, 3)},
    "fastml.nn.Sequential": {
        "make": lambda: {"layers": [nn.Linear(4, 3, seed=0)]},
        "star": "layers",
        "use": forward_backward(5, 4),
    },
    "fastml.nn.compile_step": {"make": step_arguments, "use": lambda step: step(X, Y)},
    "fastml.nn.manual_seed": {"make": lambda: {"seed": 0}},
    "fastml.nn.save": {
        "make": lambda: {"model_or_state": model_and_optimizer()["model"], "path": FOLDER / "save.safetensors"}
    },
    "fastml.nn.load": {"make": lambda: {"path": saved("model")}},
    "fastml.nn.load_metadata": {"make": lambda: {"path": saved("model")}},
    "fastml.nn.save_checkpoint": {"make": lambda: {"path": FOLDER / "new.safetensors", **model_and_optimizer()}},
    "fastml.nn.load_checkpoint": {
        "make": lambda: {"path": saved("checkpoint"), "model": model_and_optimizer()["model"]}
    },
    "fastml.nn.utils.clip_grad_norm_": {"make": gradients(max_norm=1.0)},
    "fastml.nn.utils.clip_grad_value_": {"make": gradients(clip_value=1.0)},
    "fastml.optim.EMA": {"make": params(), "use": lambda ema: ema.update()},
    "fastml.optim.SGD": {"make": params(lr=0.1), "use": two_steps},
    "fastml.optim.Accumulate": {
        "make": lambda: {"optimizer": optim.SGD([np.ones(4, np.float32), np.ones((2, 3))], lr=0.1), "steps": 2},
        "use": two_steps,
    },
    "fastml.optim.CosineAnnealingLR": {"make": scheduled(T_max=10), "use": three_steps},
    "fastml.optim.LinearWarmup": {"make": scheduled(), "use": three_steps},
    "fastml.optim.MultiStepLR": {"make": scheduled(milestones=[2, 4]), "use": three_steps},
    "fastml.optim.OneCycleLR": {"make": scheduled(max_lr=0.5, total_steps=10), "use": three_steps},
    "fastml.optim.ReduceLROnPlateau": {"make": scheduled(), "use": three_steps},
    "fastml.optim.StepLR": {"make": scheduled(step_size=2), "use": three_steps},
    "fastml.optim.SequentialLR": {
        "make": lambda: sequence(optim.SGD([np.ones(4, np.float32)], lr=0.1)),
        "use": three_steps,
    },
    "fastml.optim.GradScaler": {
        "use": lambda scaler: (scaler.scale(1.0), scaler.unscale_(*held_gradients()), scaler.update())
    },
    "fastml.data.Batches": {"make": lambda: {"arrays": [X, Y]}, "use": list},
    "fastml.data.batches": {"make": lambda: {"arrays": [X, Y]}, "star": "arrays", "use": list},
    "fastml.data.split": {"make": lambda: {"arrays": [X, Y]}, "star": "arrays"},
    "fastml.data.load_digits": {},
    "fastml.data.load_mnist": {"make": lambda: {"folder": FOLDER}},
    "fastml.data.read_idx": {"make": idx_file},
    "fastml.data.write_idx": {"make": lambda: {"path": FOLDER / "y.idx", "array": np.arange(6, dtype=np.uint8)}},
    "fastml.preprocessing.OneHotEncoder": {
        "use": lambda encoder: encoder.fit(Y.reshape(-1, 1)).transform(Y.reshape(-1, 1))
    },
    "fastml.metrics.ConfusionMatrix": {"make": lambda: {"num_classes": 3}, "use": lambda matrix: matrix.update(Y, Y)},
    "fastml.metrics.ConfusionMatrixDisplay": {"make": lambda: {"confusion_matrix": np.eye(3, dtype=int)}},
    "fastml.metrics.cohen_kappa_score": {"make": copies(y1=Y, y2=(Y + BINARY) % 3)},
    "fastml.metrics.log_loss": {"make": copies(y_true=Y, y_proba=fastml.softmax(X[:, :3]))},
    "fastml.metrics.top_k_accuracy_score": {"make": copies(y_true=Y, y_score=X[:, :3])},
    "fastml.metrics.entropy": {"make": copies(p=P)},
    "fastml.metrics.fbeta_score": {"make": lambda: {**TWO(), "beta": 2.0}},
    "fastml.metrics.wasserstein_distance_histogram": {"make": copies(u_counts=P, v_counts=Q)},
}
for _name in ("wasserstein_distance", "energy_distance"):
    EXAMPLES[f"fastml.metrics.{_name}"] = {"make": WEIGHTED}
for _name in ("js_divergence", "kl_divergence", "total_variation"):
    EXAMPLES[f"fastml.metrics.{_name}"] = {"make": copies(p=P, q=Q)}
for _name in ("f1_score", "precision_score", "recall_score"):
    EXAMPLES[f"fastml.metrics.{_name}"] = {"make": TWO}
for _name in (
    "accuracy_score", "balanced_accuracy_score", "classification_report", "confusion_matrix", "matthews_corrcoef",
    "precision_recall_fscore",
):  # fmt: skip
    EXAMPLES[f"fastml.metrics.{_name}"] = {"make": LABELS}
for _name in ("MaxAbsScaler", "MinMaxScaler", "Normalizer", "RobustScaler", "StandardScaler"):
    EXAMPLES[f"fastml.preprocessing.{_name}"] = {"use": fitted}
for _name in ("make_blobs", "make_circles", "make_gaussians", "make_moons", "make_spirals", "make_xor"):
    EXAMPLES[f"fastml.data.{_name}"] = {"make": lambda: {"n": 12}}
for _cls in set(kinds.OPTIMIZER_CLASSES) - {optim.SGD}:
    EXAMPLES[f"fastml.optim.{_cls.__name__}"] = {"make": params(), "use": two_steps}
for _name in ("AlphaDropout", "Dropout", "Dropout1d", "Dropout2d"):
    _shape = (5, 4, 3, 2) if _name == "Dropout2d" else (5, 4, 3)
    EXAMPLES[f"fastml.nn.{_name}"] = {"make": lambda: {"seed": 0}, "use": forward_backward(*_shape)}
for _cls in (nn.Flatten, *kinds.ACTIVATION_CLASSES):
    EXAMPLES[f"fastml.nn.{_cls.__name__}"] = {"use": forward_backward(5, 4)}
for _name in ("CrossEntropyLoss", "NLLLoss"):
    EXAMPLES[f"fastml.nn.{_name}"] = {"use": loss_of(np.log(P[:, :3]), Y)}
for _cls in kinds.LOSS_CLASSES:
    EXAMPLES[f"fastml.nn.{_cls.__name__}"] = {"use": loss_of(np.log(P), Q)}


def _of_op(op):
    return {"make": lambda: op.make((6, 4), np.float32, seed=1)}


for _op in OPS:
    EXAMPLES.setdefault(f"fastml.{_op.name}", _of_op(_op))
for _name in ("clip_grad_norm", "clip_grad_value"):  # imported into nn.utils, where they are no public names of it
    EXAMPLES[f"fastml.nn.utils.{_name}"] = EXAMPLES[f"fastml.{_name}"]

CALLABLES = public_callables()
CALLS = {name: Call(CALLABLES[name], **example) for name, example in EXAMPLES.items() if name in CALLABLES}
