"""Sixteen threads at once: what may be shared, what belongs to one thread, and that nothing else breaks."""

import copy
import itertools
import os
import queue
import warnings

import numpy as np
import pytest

import fastml
from fastml import metrics, nn, optim, preprocessing
from fastml._tracked import Claim, take_first

from .at_once import FREE, ROUNDS, THREADS, at_once, switching, until
from .common import DTYPES, OPS, assert_all_same_bits, copy_args, normal, run_script
from .steps import CLASSES, assert_twins, batches, big_model, sgd

pytestmark = pytest.mark.usefixtures(switching.__name__)


@pytest.mark.skipif(not FREE, reason="this Python has the GIL")
def test_the_gil_stays_off():
    modules = "nn, optim, data, metrics, preprocessing, verify, cli.main, nn.step"
    seen, told = run_script(
        f"import sys, fastml\nfrom importlib import import_module\n"
        f"for name in '{modules}'.split(', '): import_module('fastml.' + name)\nprint(sys._is_gil_enabled())",
        PYTHON_GIL=None,
    )
    assert seen.strip() == "False" and not told


# --- what may be shared for reading --------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.id)
def test_ops_on_shared_inputs(op):
    """Into outputs of their own: the bits of one thread alone."""
    shape = next(shape for shape in ((64, 33), (6, 5, 8, 33)) if op.valid(shape))
    for dtype in DTYPES:
        args = op.make(shape, dtype, seed=1)

        def call(k, out=None, args=args):
            own = copy_args(args) if op.mutated else dict(args)
            if out is not None and k % 2:
                own["out"] = np.empty_like(out)
            return op.run(own)

        want = call(0)
        out = None if op.out is None else want[op.out]
        for got in at_once(lambda k, call=call, out=out: [call(k, out) for _ in range(3)]):
            for results in got:
                assert_all_same_bits(results, want)


@pytest.mark.parametrize("rows", [16, 2000])
def test_a_shared_model_in_evaluation(rows):
    """Small results, and such as a layer uses again."""
    model = big_model()
    for x, _ in batches(0, 200, np.float32, (64, 64)):
        model(x)
    model.eval()
    inputs = [normal((rows, 200), seed=k) for k in range(4)]
    want = [model(x) for x in inputs]

    def run(k):
        for _ in range(ROUNDS):
            kept = [(i, model(inputs[i])) for i in (k % 4, (k + 1) % 4)]
            for i, y in kept:
                np.testing.assert_array_equal(y, want[i])

    at_once(run)


def test_results_that_another_thread_holds_are_not_written():
    """They go from thread to thread, and the one that made them holds them no more."""
    layer, results, wrong = nn.ReLU(), queue.Queue(8), []
    inputs = [np.full((512, 1024), k + 1, np.float32) for k in range(THREADS)]

    def make(k):
        for _ in range(10 * ROUNDS):
            results.put((k + 1, layer(inputs[k])))

    def look(k):
        for _ in range(10 * ROUNDS):
            value, y = results.get()
            for _ in range(3):
                if not (y == value).all():
                    wrong.append(value)
            del y

    at_once(make, look)
    assert not wrong


def test_who_holds_an_array_alone():
    def first_of(things):
        return take_first(things)[1]

    mine = np.empty(3)
    assert not first_of([mine]) and first_of([np.empty(3)])
    elsewhere = [np.empty(3)]
    assert at_once(lambda k: first_of(elsewhere), threads=1) == [not FREE]
    with pytest.raises(IndexError):
        take_first([])


def test_every_public_call_on_objects_of_ones_own():
    """Nothing behind the public names belongs to one thread."""
    pytest.importorskip("sklearn")
    from .calls import CALLS

    of_files = ("mnist", "idx", "save", "load", "set_num_threads")
    calls = [call for name, call in CALLS.items() if not any(word in name for word in of_files)]

    def run(k):
        for i in range(len(calls)):
            call = calls[(i + 7 * k) % len(calls)]
            call.run(call.make())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        at_once(run)


def test_metrics_and_transformers():
    x, labels, taken = normal((3000, 7)), np.arange(3000) % CLASSES, (np.arange(3000) * 7) % CLASSES
    fitted = [
        kind().fit(x) for kind in (preprocessing.StandardScaler, preprocessing.RobustScaler, preprocessing.MinMaxScaler)
    ]
    one_hot = preprocessing.OneHotEncoder(sparse_output=False).fit(labels[:, None])

    def all_of(k):
        return [
            metrics.confusion_matrix(labels, taken),
            metrics.f1_score(labels, taken, average="macro"),
            fastml.one_hot(labels, CLASSES),
            *(scaler.transform(x) for scaler in fitted),
            *(scaler.inverse_transform(x) for scaler in fitted),
            one_hot.transform(labels[:, None]),
        ]

    want = all_of(0)
    for got in at_once(lambda k: [all_of(k) for _ in range(3)]):
        for results in got:
            assert_all_same_bits([np.asarray(r) for r in results], [np.asarray(r) for r in want])


def test_a_fitted_estimator():
    pytest.importorskip("sklearn")
    x, y = normal((500, 6)), np.arange(500) % 3
    model = fastml.MLPClassifier((16,), random_state=0).partial_fit(x, y, classes=(0, 1, 2))
    want = model.predict_proba(x)
    for got in at_once(lambda k: [model.predict_proba(x) for _ in range(ROUNDS)]):
        assert_all_same_bits(got, [want] * ROUNDS)


def test_estimators_of_ones_own():
    pytest.importorskip("sklearn")
    x, y = normal((500, 6)), np.arange(500) % 3

    def fit(k):
        model = fastml.MLPClassifier((16,), random_state=0)
        return model.partial_fit(x, y, classes=(0, 1, 2)).partial_fit(x, y).predict_proba(x)

    assert_all_same_bits(at_once(fit, threads=4), [fit(0)] * 4)


# --- what belongs to one thread ------------------------------------------------------------------------------


def test_a_step_for_each_thread():
    """Over a copy of the model each: the losses and parameters of one thread alone."""
    model = big_model()
    step = nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model))
    steps = [copy.deepcopy(step) for _ in range(THREADS)]
    given = batches(0, 200, np.float32)
    want = [float(step(x, y)) for x, y in given]
    got = at_once(lambda k: [float(steps[k](x, y)) for x, y in given])
    assert got == [want] * THREADS
    for other in steps:
        assert_twins(model, other.model)


def test_a_step_beside_threads_that_change_models_of_their_own():
    """What others set is not this step's: no error, and no new program."""
    model = nn.Sequential(nn.Linear(4, 4, seed=0))
    step, others = nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model)), [nn.Dropout() for _ in range(8)]
    x, y = np.ones((4, 4), np.float32), np.arange(4)
    step(x, y)
    program, made = step._schedule, []

    def train(k):
        for _ in range(100 * ROUNDS):
            made.append(float(step(x, y)))

    def change(k):
        others[k].p = 0.5

    until(train, *[change] * 7)
    assert step._schedule is program and len(made) == 100 * ROUNDS


@pytest.mark.parametrize("hidden", [16, 512])
def test_one_step_from_many_threads(hidden):
    """Those that do not run are told what to do, and have written nothing."""

    def made():
        model = nn.Sequential(
            nn.Linear(32, hidden, seed=0), nn.Dropout(0.1, seed=1), nn.Linear(hidden, CLASSES, seed=2)
        )
        optimizer = optim.Adam(model.parameters(), lr=1e-3)
        return model, optimizer, nn.compile_step(model, nn.CrossEntropyLoss(), optimizer)

    model, optimizer, step = made()
    ((x, y),) = batches(0, 32, np.float32, (256,))
    step(x, y)
    refused = []

    def run(k):
        done = 0
        for _ in range(20 * ROUNDS):
            try:
                step(x, y)
                done += 1
            except RuntimeError as error:
                refused.append(str(error))
        return done

    done = sum(at_once(run))
    twin, alone, again = made()
    for _ in range(1 + done):
        again(x, y)
    assert_twins(model, twin)
    np.testing.assert_equal(optimizer.state_dict(), alone.state_dict())
    assert all("one thread at a time" in text and "copy.deepcopy(step)" in text for text in refused)
    assert refused or not FREE or len(os.sched_getaffinity(0)) == 1
    assert done + len(refused) == 20 * ROUNDS * THREADS


def test_a_claim_is_given_once():
    claim = Claim()
    for _ in range(20 * ROUNDS):
        assert sum(at_once(lambda k: claim.take(), threads=4)) == 1 and claim
        claim.release()
        assert not claim and not copy.deepcopy(claim)


def test_averages_are_swapped_in_by_one_thread():
    """Of two at the same moment one would take the averages for the parameters."""
    w = np.zeros(100_000)
    ema = optim.EMA([w], decay=0.5)
    w[:] = 1

    def run(k):
        try:
            with ema.average_parameters():
                assert (w == 0).all()
        except RuntimeError as error:
            assert "average_parameters" in str(error)

    for _ in range(10 * ROUNDS):
        at_once(run, threads=4)
        assert (w == 1).all()


# --- what is not promised, and breaks nothing ----------------------------------------------------------------


def test_training_one_model_by_many_threads():
    """Explicit calls and steps over one model and one optimizer, looked at and changed meanwhile."""
    model = big_model()
    loss_fn, optimizer = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=1e-4)
    ((x, y),) = batches(0, 200, np.float32, (256,))
    steps = [nn.compile_step(model, nn.CrossEntropyLoss(), optimizer) for _ in range(THREADS)]

    def explicit(k):
        for _ in range(2 * ROUNDS):
            _, grad = loss_fn(model(x), y)
            model.backward(grad)
            fastml.clip_grad_norm([p.grad for p in model.parameters()], 1.0)
            optimizer.step()

    def compiled(k):
        for _ in range(4 * ROUNDS):
            try:
                steps[k](x, y)
            except RuntimeError as error:
                assert "was changed while the step was called" in str(error)

    def look(k):
        for _ in range(2 * ROUNDS):
            model.state_dict(), optimizer.state_dict(), repr(model), steps[0].describe()
            optimizer.lr = 1e-4
            model.layers[3].p = 0.2
            copy.deepcopy(model)

    at_once(explicit, compiled, compiled, look)
    model.eval()
    for name, value in model.state_dict().items():
        assert np.isfinite(value).all(), name


def test_attributes_may_be_set_while_a_model_is_walked_through():
    model = nn.Sequential(*(nn.Linear(3, 3, seed=k) for k in range(2)))
    for layer in model.layers:
        vars(layer).update((f"note{i}", i) for i in range(500))  # so that it takes a while
    names = itertools.count()

    def set_and_delete(k):
        for layer in model.layers:
            name = f"another{next(names) % 50}_{k}"
            setattr(layer, name, 1)
            delattr(layer, name)

    def walk(k):
        for _ in range(5 * ROUNDS):
            model.parameters(), model.state_dict(), copy.copy(model.layers[0]), model.eval(), model.train()

    until(walk, set_and_delete, set_and_delete)


def test_a_list_of_gradients_may_lose_its_arrays_meanwhile():
    """Their memory goes back to the system at once: to read it is the end of the process."""
    run_script(
        """
        import threading, time
        import numpy as np, fastml
        for clip in (lambda g: fastml.clip_grad_norm(g, 1.0), lambda g: fastml.clip_grad_value(g, 0.5),
                     lambda g: fastml.unscale_grads(g, 2.0)):
            for wait in (0.0, 5e-4, 2e-3, 4e-3):
                grads = [np.ones(1 << 23, np.float32) for _ in range(2)]
                def lose():
                    time.sleep(wait)
                    grads.clear()
                other = threading.Thread(target=lose)
                other.start()
                clip(grads)
                other.join()
        """
    )
