"""What tests/test_step_machine.py may do to a model: each takes (world, rng), and is done to both twins alike.

A change of `SAFE` leaves a model that a compiled step takes. One of `RISKY` may be refused; it returns what undoes it.
"""

import copy
import pickle
import tempfile

import numpy as np

from fastml import nn, optim

from .kinds import ACTIVATIONS, LOSSES, OPTIMIZERS

WIDTH, CLASSES = 6, 5


class Louder(nn.Linear):
    """Computes something else than its program."""

    def forward(self, x):
        return 2 * super().forward(x)


def draw_model(rng, dtype):
    """Layers of all kinds; samples of two axes at first where `deep`, plain rows of WIDTH elements later."""
    nn.manual_seed(int(rng.integers(1 << 30)))
    plain = [
        lambda: nn.Linear(WIDTH, WIDTH, bias=bool(rng.integers(2)), dtype=dtype),
        lambda: nn.Linear(WIDTH, WIDTH, dtype=dtype),
        lambda: nn.BatchNorm(WIDTH, momentum=[None, 0.1][rng.integers(2)], affine=bool(rng.integers(2)), dtype=dtype),
        lambda: nn.BatchNorm(WIDTH, track_running_stats=False, convention="onnx", dtype=dtype),
        lambda: nn.LayerNorm(WIDTH, bias=bool(rng.integers(2)), dtype=dtype),
        lambda: nn.RMSNorm(WIDTH, dtype=dtype),
        lambda: nn.GroupNorm(2, WIDTH, affine=bool(rng.integers(2)), dtype=dtype),
        *ACTIVATIONS,
        lambda: nn.Dropout(0.3), lambda: nn.Dropout(0.0), lambda: nn.AlphaDropout(0.2),
    ]  # fmt: skip
    axes = [
        lambda: nn.BatchNorm(3, dtype=dtype), lambda: nn.InstanceNorm(3, affine=True, dtype=dtype), nn.ReLU,
        lambda: nn.Dropout1d(0.3), lambda: nn.Dropout2d(0.3), lambda: nn.GroupNorm(3, 3, dtype=dtype),
        lambda: nn.LayerNorm((3, 4), dtype=dtype),
    ]  # fmt: skip

    def some(kinds, most):
        return [kinds[i]() for i in rng.integers(0, len(kinds), rng.integers(0, most))]

    deep = bool(rng.integers(2))
    first = [*some(axes, 4), nn.Flatten(), nn.Linear(12, WIDTH, dtype=dtype)] if deep else []
    inner = some(plain, 5)
    middle = [nn.Sequential(*inner)] if inner and rng.integers(2) else inner
    last = nn.Linear(WIDTH, CLASSES, dtype=dtype)
    return nn.Sequential(*first, *middle, *some(plain, 4), last), (3, 4) if deep else (WIDTH,)


def draw_loss(rng):
    kinds = [
        nn.CrossEntropyLoss,
        lambda: nn.CrossEntropyLoss(np.linspace(0.5, 2, CLASSES), ignore_index=1, label_smoothing=0.1),
        lambda: nn.NLLLoss(label_smoothing=0.2),
        nn.NLLLoss,
        *LOSSES,
        lambda: nn.BCEWithLogitsLoss(pos_weight=np.linspace(0.5, 2, CLASSES)),
    ]
    return kinds[rng.integers(len(kinds))]()


def draw_optimizer(rng):
    """A function of parameters."""
    return list(OPTIMIZERS.values())[rng.integers(len(OPTIMIZERS))]


def pick(things, rng):
    return things[rng.integers(len(things))]


def leaves(world, kind=nn.Module):
    return [m for m in world.model.modules() if isinstance(m, kind) and not isinstance(m, nn.Sequential)]


def forget_strays(world, before):
    """A Parameter that has left the model has no gradient any more."""
    for parameter in before:
        if parameter not in world.model.parameters():
            parameter.grad = None


# --- what a step takes -----------------------------------------------------------------------------------------


def new_value(world, rng):
    p = pick(world.model.parameters(), rng)
    p.value = p.value * p.value.dtype.type(rng.uniform(-1, 1))


def value_in_place(world, rng):
    pick(world.model.parameters(), rng).value *= 0.75


def mapped_value(world, rng):
    p = pick(world.model.parameters(), rng)
    with tempfile.TemporaryFile() as file:
        moved = np.memmap(file, p.value.dtype, "w+", shape=p.value.shape)
    moved[...] = p.value
    p.value = moved


def rate(world, rng):
    world.optimizer.lr = float(rng.uniform(0, 0.05))


def optimizer_option(world, rng):
    name = pick([n for n in ("momentum", "weight_decay") if hasattr(world.optimizer, n)], rng)
    setattr(world.optimizer, name, float(pick([0.0, 0.1, 0.5], rng)))


def layer_option(world, rng):
    values = {
        "p": [0.0, 0.2, 0.6, 1.0], "seed": [0, 7], "offset": [0, 1000, 2**64 - 5], "eps": [1e-3, 1e-6],
        "alpha": [0.5, 2.0], "negative_slope": [0.0, 0.3], "beta": [0.5, 2.0], "approximate": ["none", "tanh"],
        "convention": ["torch", "onnx"], "num_groups": [1, 2, 3],
    }  # fmt: skip
    found = [
        (m, n) for m in leaves(world) for n in values if n in vars(m) and (n != "num_groups" or m.num_channels == 6)
    ]
    if found:
        layer, name = pick(found, rng)
        setattr(layer, name, pick(values[name], rng))


def statistics(world, rng):
    norms = [m for m in leaves(world, nn.BatchNorm) if m.running_mean is not None]
    if norms:
        layer = pick(norms, rng)
        layer.running_mean, layer.running_var = layer.running_mean * 2, layer.running_var.copy()
        layer.momentum = pick([None, 0.1, 0.9], rng)


def other_activation(world, rng):
    layers, kinds = list(world.model.layers), (nn.ReLU, nn.Tanh, nn.GELU, nn.Sigmoid)
    places = [i for i, m in enumerate(layers) if isinstance(m, kinds)]
    if places:
        layers[pick(places, rng)] = pick(kinds, rng)()
        world.model.layers = layers


def layer_more_or_less(world, rng):
    layers, before = list(world.model.layers), world.model.parameters()
    if rng.integers(2) and len(layers) < 9:
        dtype = before[0].value.dtype
        made = pick(
            [nn.Tanh, lambda: nn.Linear(WIDTH, WIDTH, seed=3, dtype=dtype), lambda: nn.Dropout(0.2, seed=1)], rng
        )()
        layers.insert(len(layers) - 1, made)
    else:
        places = [i for i, m in enumerate(layers) if not isinstance(m, nn.Linear | nn.Flatten | nn.Sequential)]
        if places:
            del layers[pick(places, rng)]
    world.model.layers = layers
    forget_strays(world, before)


def tie(world, rng):
    owners = {}
    for layer in leaves(world):
        for name, value in vars(layer).items():
            if isinstance(value, nn.Parameter):
                owners.setdefault(value.value.shape, []).append((layer, name))
    groups = [g for g in owners.values() if len(g) > 1]
    if groups:
        before, group = world.model.parameters(), pick(groups, rng)
        (to, name), (source, other) = (group[i] for i in rng.choice(len(group), 2, replace=False))
        setattr(to, name, getattr(source, other))
        forget_strays(world, before)


def untie(world, rng):
    layer = pick([m for m in leaves(world) if getattr(m, "weight", None) is not None], rng)
    before = world.model.parameters()
    layer.weight = nn.Parameter(layer.weight.value.copy())
    forget_strays(world, before)


def freeze(world, rng):
    """Another optimizer, over some of the parameters."""
    p = world.model.parameters()
    chosen = sorted(rng.choice(len(p), rng.integers(1, len(p) + 1), replace=False))
    world.optimizer = draw_optimizer(rng)([p[i] for i in chosen])
    if rng.integers(2):
        averaged = {chosen[0], len(p) - 1}
        world.ema = None if world.ema is not None else optim.EMA([p[i] for i in sorted(averaged)], 0.9)


def other_loss(world, rng):
    world.loss_fn = draw_loss(rng)


def loss_option(world, rng):
    if isinstance(getattr(world.loss_fn, "weight", None), np.ndarray) and rng.integers(2):
        world.loss_fn.weight[rng.integers(CLASSES)] = 1.5
    elif hasattr(world.loss_fn, "label_smoothing"):
        world.loss_fn.label_smoothing = float(rng.uniform(0, 1))
    else:
        world.loss_fn.reduction = pick(["mean", "sum"], rng)


def bounds(world, rng):
    world.max_norm, world.clip_value = (pick([None, 1e-2, 1.0], rng) for _ in range(2))


def reload(world, rng):
    state = world.model.state_dict()
    world.model.load_state_dict({name: a * 0.5 if a.dtype.kind == "f" else a // 2 for name, a in state.items()})


def reload_optimizer(world, rng):
    world.optimizer.load_state_dict(world.optimizer.state_dict())
    if world.ema is not None:
        world.ema.load_state_dict(world.ema.state_dict())


def evaluate(world, rng):
    world.model.eval()
    world.model(np.ones((2, *world.sample), world.dtype))
    world.model.train()


def copied(world, rng):
    parts = world.model, world.optimizer, world.loss_fn, world.ema
    parts = copy.deepcopy(parts) if rng.integers(2) else pickle.loads(pickle.dumps(parts))
    world.model, world.optimizer, world.loss_fn, world.ema = parts


SAFE = [
    new_value, value_in_place, mapped_value, rate, optimizer_option, layer_option, statistics, other_activation,
    layer_more_or_less, tie, untie, freeze, other_loss, loss_option, bounds, reload, reload_optimizer, evaluate, copied,
]  # fmt: skip


# --- what a step may refuse ------------------------------------------------------------------------------------


def setting(owner, name, value):
    """Set an attribute; returns what sets it back."""
    old = getattr(owner, name)
    setattr(owner, name, value)
    return lambda: setattr(owner, name, old)


def strange_value(world, rng):
    p = pick(world.model.parameters(), rng)
    a = p.value
    other = pick(
        [
            lambda: a[:-1].copy(), lambda: np.concatenate([a, a]), lambda: a.reshape(1, *a.shape),
            lambda: a.astype("f2"), lambda: a.astype("f8" if a.dtype == "f4" else "f4"),
            lambda: a.astype(a.dtype.newbyteorder()),
            lambda: np.repeat(a, 2, -1)[..., ::2], lambda: np.asfortranarray(a), lambda: a.tolist(), lambda: None,
            lambda: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
            lambda: a.view(np.matrix) if a.ndim == 2 else a[None].view(np.matrix),
        ],
        rng,
    )()  # fmt: skip
    return setting(p, "value", other)


def read_only(world, rng):
    array = pick(world.model.parameters(), rng).value
    array.setflags(write=False)
    return lambda: array.setflags(write=True)


def smaller_in_place(world, rng):
    p = pick(world.model.parameters(), rng)
    kept = p.value.copy()
    if type(p.value) is not np.ndarray or p.value.base is not None:
        return lambda: None
    p.value.resize(pick([(1,), kept.shape[::-1], (kept.size,)], rng), refcheck=False)
    return lambda: setattr(p, "value", kept)


def one_memory(world, rng):
    p = world.model.parameters()
    a, b = p[rng.integers(len(p))], p[rng.integers(len(p))]
    whole = np.zeros(a.value.size + b.value.size, a.value.dtype)
    shift = 0 if rng.integers(2) else a.value.size - 1
    back = [setting(b, "value", whole[shift : shift + b.value.size].reshape(b.value.shape))]
    back += [setting(a, "value", whole[: a.value.size].reshape(a.value.shape))]
    return lambda: [undo() for undo in reversed(back)]


def strange_statistics(world, rng):
    norms = [m for m in leaves(world, nn.BatchNorm) if m.running_mean is not None]
    if not norms:
        return lambda: None
    layer, name = pick(norms, rng), pick(["running_mean", "running_var"], rng)
    a = getattr(layer, name)
    fixed = a.copy()
    fixed.setflags(write=False)
    other = layer.running_var if name == "running_mean" else layer.running_mean
    return setting(layer, name, pick([a[:2].copy(), fixed, None, a.astype("f2"), np.repeat(a, 2)[::2], other], rng))


def wrong_option(world, rng):
    values = {
        "p": [-0.1, 1.5, "half", np.nan], "seed": [-1, 2**64, 0.5], "offset": [-1, 2**64, 0.5], "eps": [-1.0, "small"],
        "alpha": ["a"], "negative_slope": [None], "beta": ["b"], "approximate": ["tan"], "num_groups": [4, 0],
        "in_features": [5], "out_features": [40], "num_features": [2], "normalized_shape": [(5,)], "channel_axis": [2],
        "momentum": ["much"], "training": [False], "weight": [3, None],
    }  # fmt: skip
    found = [(m, n) for m in leaves(world) for n in values if n in vars(m) or n == "training"]
    (layer, name), before = pick(found, rng), world.model.parameters()
    undo = setting(layer, name, pick(values[name], rng))
    forget_strays(world, before)
    return undo


def wrong_part(world, rng):
    kinds = [("optimizer", "lr", -1.0), ("optimizer", "lr", "fast"), ("optimizer", "weight_decay", -1.0),
             ("loss_fn", "reduction", "none"), ("loss_fn", "reduction", "most"), ("loss_fn", "weight", np.ones(3)),
             ("loss_fn", "label_smoothing", 2.0), ("model", "training", False)]  # fmt: skip
    part, name, value = pick(kinds, rng)
    part = getattr(world, part)
    return setting(part, name, value) if hasattr(part, name) else lambda: None


def override(world, rng):
    layer = pick(leaves(world), rng)
    if type(layer) is nn.Linear and rng.integers(2):
        return setting(layer, "__class__", Louder)
    layer.forward = lambda x: x
    return lambda: delattr(layer, "forward")


RISKY = [
    strange_value, read_only, smaller_in_place, one_memory, strange_statistics, wrong_option, wrong_part, override
]  # fmt: skip
