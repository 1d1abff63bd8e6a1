"""Models, changes and batches drawn by Hypothesis: the compiled step and the explicit calls side by side.

Both twins undergo the same changes. Where the compiled step takes a batch, the explicit calls take it too and
everything has the same bits; where it refuses one, nothing of its twin has changed, and something did happen that it
may refuse. FASTML_NIGHTLY=1 draws 20 000 rules instead of 500.
"""

import os

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import fastml
from fastml import nn, optim

from .common import with_threads
from .step_changes import CLASSES, RISKY, SAFE, draw_loss, draw_model, draw_optimizer

SEEDS = st.integers(0, 2**32 - 1)


class World:
    """One twin: a model and what trains it."""

    max_norm = clip_value = None

    def __init__(self, seed, dtype, with_ema):
        rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.model, self.sample = draw_model(rng, dtype)
        self.loss_fn, make = draw_loss(rng), draw_optimizer(rng)
        self.optimizer = make(self.model.parameters())
        self.ema = optim.EMA(self.model.parameters(), 0.9) if with_ema else None

    def explicit(self, x, y):
        loss, grad = self.loss_fn(self.model(x), y)
        self.model.backward(grad)
        held = self.optimizer._params
        grads = [p.grad for p in self.model.parameters() if any(p is q for q in held)]
        if self.clip_value is not None:
            fastml.clip_grad_value(grads, self.clip_value)
        if self.max_norm is not None:
            fastml.clip_grad_norm(grads, self.max_norm)
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update()
        return loss

    def train_something(self):
        """What optimizer and averages hold may all have left the model."""
        mine = self.model.parameters()
        if not any(p is q for p in mine for q in self.optimizer._params):
            self.optimizer = optim.SGD(mine, lr=0.05, momentum=0.9)
        if self.ema is not None and not any(map(self.ema.holds, mine)):
            self.ema = None

    def state(self):
        """All that a step may write: name → copy."""
        found = {}
        for i, module in enumerate(self.model.modules()):
            for name, value in vars(module).items():
                value = getattr(value, "value", value)
                if isinstance(value, np.ndarray | int | float) and name != "training" and name[0] != "_":
                    found[f"{i}.{name}"] = np.array(value)
        for i, entry in self.optimizer.state_dict()["state"].items():
            found |= {f"optimizer {i} {name}": np.array(value) for name, value in entry.items()}
        if self.ema is not None:
            found |= {f"ema {i}": a for i, a in enumerate(self.ema.state_dict()["averages"])}
        return found


def assert_same(a, b, what):
    assert a.keys() == b.keys(), what
    for name, value in a.items():
        other = b[name]
        same = value.dtype == other.dtype and np.array_equal(value, other, equal_nan=value.dtype.kind == "f")
        if same and value.dtype.kind == "f":
            same = np.array_equal(np.signbit(value) | np.isnan(value), np.signbit(other) | np.isnan(other))
        assert same, (what, name, value, other)


class StepMachine(RuleBasedStateMachine):
    @initialize(seed=SEEDS, double=st.booleans(), with_ema=st.booleans())
    def begin(self, seed, double, with_ema):
        dtype = np.float64 if double else np.float32
        self.slow, self.fast = (World(seed, dtype, with_ema) for _ in range(2))
        self.undo, self.said = [], ["begin"]
        self.step = None

    def compiled(self, x, y, threads):
        """A call of the step of the fast twin's parts, which may be others than before."""
        w = self.fast
        if self.step is None or self.step.model is not w.model:
            self.step = nn.compile_step(
                w.model, w.loss_fn, w.optimizer, max_norm=w.max_norm, clip_value=w.clip_value, ema=w.ema
            )
        for name in ("loss_fn", "optimizer", "max_norm", "clip_value", "ema"):
            if getattr(self.step, name) is not getattr(w, name):
                setattr(self.step, name, getattr(w, name))
        return with_threads(threads, self.step, x, y)

    def draw_batch(self, rng, rows):
        x = rng.standard_normal((rows, *self.fast.sample)).astype(self.fast.dtype)
        if isinstance(self.fast.loss_fn, nn.CrossEntropyLoss | nn.NLLLoss):
            y = rng.integers(0, CLASSES, rows)
            return x, y.astype([np.int64, np.int8, ">i8"][rng.integers(3)])
        return x, rng.uniform(0, 1, (rows, CLASSES)).astype(self.fast.dtype)

    @rule(change=st.sampled_from(SAFE), seed=SEEDS)
    def safe(self, change, seed):
        if self.undo:  # what is refused is not built upon
            self.forget()
        for world in (self.slow, self.fast):
            change(world, np.random.default_rng(seed))
            world.train_something()
        self.said.append(change.__name__)

    @rule(change=st.sampled_from(RISKY), seed=SEEDS)
    def risky(self, change, seed):
        if not self.undo:
            self.undo = [change(world, np.random.default_rng(seed)) for world in (self.slow, self.fast)]
            self.said.append(change.__name__)

    @rule(seed=SEEDS, rows=st.integers(2, 40), threads=st.integers(1, 3))
    def batch(self, seed, rows, threads):
        x, y = self.draw_batch(np.random.default_rng(seed), rows)
        before = self.fast.state()
        try:
            got = self.compiled(x, y, threads)
        except (ValueError, TypeError) as error:
            assert self.undo, (self.said, error)
            assert_same(before, self.fast.state(), (self.said, error))
            self.forget()
            return
        want = self.slow.explicit(x, y)
        assert got.dtype == want.dtype and np.array_equal(got, want, equal_nan=True), (self.said, got, want)
        after = self.slow.state()
        assert_same(after, self.fast.state(), self.said)
        self.said = self.said[-30:] + ["batch"]
        if not all(np.isfinite(value).all() and (np.abs(value) < 1e6).all() for value in after.values()):
            self.begin(seed, self.fast.dtype is np.float64, self.fast.ema is not None)

    @rule(seed=SEEDS)
    def explicit_batch(self, seed):
        """The explicit calls on both, in between."""
        if not self.undo:
            x, y = self.draw_batch(np.random.default_rng(seed), 9)
            for world in (self.slow, self.fast):
                world.explicit(x, y)
            self.said.append("explicit")

    @rule(seed=SEEDS, which=st.integers(0, 5))
    def wrong_batch(self, seed, which):
        x, y = self.draw_batch(np.random.default_rng(seed), 8)
        wrong = [
            (x[..., :-1], y),
            (x, y[:-1]),
            (x.astype(np.float16), y),
            (x[0], y),
            (x, y.astype(complex)),
            (x[:0], y[:0]),
        ]
        before = self.fast.state()
        try:
            self.compiled(*wrong[which], 1)
        except (ValueError, TypeError, IndexError) as error:
            assert_same(before, self.fast.state(), (self.said, error))
        else:
            raise AssertionError((self.said, which))

    def forget(self):
        for back in self.undo:
            back()
        self.undo = []
        self.said.append("undone")


NIGHTLY = os.environ.get("FASTML_NIGHTLY") == "1"
StepMachine.TestCase.settings = settings(
    max_examples=420 if NIGHTLY else 11,
    stateful_step_count=50,
    deadline=None,
    print_blob=True,
    report_multiple_bugs=False,
    derandomize=not NIGHTLY,
    suppress_health_check=list(HealthCheck),
)
TestStepMachine = StepMachine.TestCase
