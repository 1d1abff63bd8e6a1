"""compile_step against the explicit calls, to the bit: any model, any batch, any number of threads."""

import numpy as np
import pytest

import fastml
from fastml import nn, optim

from .common import DTYPES, THREADS, run_python
from .steps import (
    CLASSES,
    EVERY_OPTIMIZER,
    assert_same_training,
    assert_twins,
    batches,
    big_model,
    explicit,
    random_model,
    sgd,
    twins,
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(40))
def test_any_model_gives_the_bits_of_the_explicit_calls(seed, dtype):
    model, width = random_model(seed, dtype)
    assert_same_training(
        model,
        batches(seed, width, dtype),
        threads=THREADS[seed % len(THREADS)],
        optimizer=EVERY_OPTIMIZER[seed % len(EVERY_OPTIMIZER)],
        clip_value=[None, 0.01][seed // 2 % 2],
        ema=[None, 0.9][seed // 4 % 2],
    )


@pytest.mark.parametrize("threads", THREADS)
def test_a_model_worth_cutting_gives_the_same_bits_for_any_threads(threads):
    step = assert_same_training(big_model(), batches(0, 200, np.float32, (130, 64, 130, 300)), threads=threads)
    assert "2 × 128 columns" in step.describe()


def block_model(dtype=np.float32):
    """The feed-forward half of a transformer's block, twice."""
    nn.manual_seed(2)
    layers = []
    for _ in range(2):
        layers += [nn.LayerNorm(192, dtype=dtype), nn.Linear(192, 384, dtype=dtype), nn.GELU()]
        layers += [nn.Linear(384, 192, dtype=dtype), nn.Dropout(0.1)]
    return nn.Sequential(*layers, nn.LayerNorm(192, dtype=dtype), nn.Linear(192, CLASSES, dtype=dtype))


@pytest.mark.parametrize("threads", THREADS)
def test_layer_norm_and_gelu_worth_cutting_give_the_same_bits_for_any_threads(threads):
    sizes = (130, 64, 33, 130, 300, 31, 1)
    step = assert_same_training(block_model(), batches(0, 192, np.float32, sizes), threads=threads)
    text = step.describe()
    assert "10 × 32 rows" in text and "3 × 128 columns" in text


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_sums_of_layer_norm_over_many_rows_are_added_in_the_same_order(dtype):
    nn.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(6, 10, dtype=dtype), nn.LayerNorm(10, dtype=dtype), nn.GELU("tanh"),
        nn.LayerNorm(10, bias=False, dtype=dtype), nn.RMSNorm(10, dtype=dtype), nn.Linear(10, CLASSES, dtype=dtype),
    )  # fmt: skip
    assert_same_training(model, batches(3, 6, dtype, (3000, 2049, 2048, 4200, 97)), threads=2)
    small = nn.Sequential(nn.LayerNorm(1, dtype=dtype), nn.Linear(1, CLASSES, dtype=dtype))
    assert_same_training(small, batches(3, 1, dtype, (3000, 2500)), threads=1)


def test_plain_layers_share_tiles_of_rows():
    nn.manual_seed(1)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, CLASSES))
    step = assert_same_training(model, batches(0, 64, np.float32, (600, 512, 33)), threads=3)
    assert step.describe().count("phase") == 1 + 2  # in the heading, forward and backward, the weights


def test_the_same_bits_on_every_target():
    code = """
        import numpy as np
        from fastml import _simd
        from tests import steps
        model = steps.big_model()
        result = {}
        step = steps.nn.compile_step(model, steps.nn.CrossEntropyLoss(), steps.sgd(model))
        for k, (x, y) in enumerate(steps.batches(0, 200, np.float32, (130, 64))):
            result[f"loss {k}"] = step(x, y)
        result |= model.state_dict()
    """
    targets = [t for t in fastml._simd.available_targets() if t != "baseline"]
    results = [run_python(code, FASTML_ISA=t) for t in targets]
    for other in results[1:]:
        for name, value in results[0].items():
            assert np.array_equal(value, other[name]), name


@pytest.mark.parametrize(
    "loss_fn",
    [
        nn.CrossEntropyLoss(label_smoothing=0.1),
        nn.CrossEntropyLoss(reduction="sum"),
        nn.CrossEntropyLoss(np.linspace(0.5, 2, CLASSES)),
        nn.CrossEntropyLoss(np.linspace(0.5, 2, CLASSES), ignore_index=3, label_smoothing=0.2),
        nn.CrossEntropyLoss(z_loss=0.01),
        nn.CrossEntropyLoss(np.linspace(0.5, 2, CLASSES), ignore_index=3, label_smoothing=0.2, z_loss=0.1),
        nn.NLLLoss(),
        nn.NLLLoss(np.linspace(0.5, 2, CLASSES), ignore_index=3, label_smoothing=0.2, reduction="sum"),
    ],
    ids=repr,
)
def test_losses(loss_fn):
    model = nn.Sequential(nn.Linear(6, 9, seed=0), nn.ReLU(), nn.Linear(9, CLASSES, seed=1))
    assert_same_training(model, batches(1, 6, np.float32), loss_fn, threads=2)


def test_class_probabilities():
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(6, CLASSES, seed=0))
    data = [(x, rng.dirichlet(np.ones(CLASSES), len(x))) for x, _ in batches(1, 6, np.float32)]
    for loss_fn in (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(z_loss=0.1), nn.NLLLoss(label_smoothing=0.1)):
        assert_same_training(model, data, loss_fn, threads=2)


@pytest.mark.parametrize("classes", [2, 40, 600, 3000])
def test_the_loss_of_many_rows_is_added_in_the_same_order(classes):
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(3, classes, seed=0))
    data = [(rng.standard_normal((n, 3), dtype=np.float32), rng.integers(0, classes, n)) for n in (9, 1000, 531)]
    assert_same_training(model, data, options={"lr": 1e-3}, threads=2)


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 0.0},
        {"weight_decay": 0.01, "dampening": 0.2},
        {"nesterov": True, "weight_decay": 0.01},
        {"maximize": True, "lr": 1e-3},
    ],
    ids=repr,
)
def test_options_of_sgd(options):
    model, width = random_model(3, np.float32)
    assert_same_training(model, batches(3, width, np.float32), options=options, threads=2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("max_norm", [1e-3, 1e3])
def test_clipping(max_norm, dtype):
    for seed in range(4):
        model, width = random_model(seed, dtype)
        data = batches(seed, width, dtype)
        assert_same_training(model, data, options={"lr": 1.0}, threads=3, max_norm=max_norm)
    data = batches(0, 200, np.float32, (130, 64))
    assert_same_training(big_model(), data, threads=2, max_norm=max_norm)


@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER)
def test_both_bounds_and_averages(optimizer):
    data = batches(0, 200, np.float32, (130, 64))
    assert_same_training(big_model(), data, threads=2, max_norm=0.1, clip_value=1e-3, optimizer=optimizer, ema=0.99)


def test_averages_of_some_parameters_may_change_their_decay_and_be_loaded():
    a, b = twins(big_model())
    averages = [optim.EMA(m.parameters()[:2], 0.9) for m in (a, b)]
    slow, fast = sgd(a), sgd(b)
    step = nn.compile_step(b, nn.CrossEntropyLoss(), fast, ema=averages[1])
    for k, (x, y) in enumerate(batches(0, 200, np.float32, (16,) * 6)):
        explicit(a, nn.CrossEntropyLoss(), slow, x, y, ema=averages[0])
        step(x, y)
        if k == 2:
            for ema in averages:
                ema.decay = 0.5
        if k == 3:
            for ema in averages:
                ema.load_state_dict(ema.state_dict())
        assert_twins(a, b)
        np.testing.assert_equal(averages[1].state_dict(), averages[0].state_dict())


def test_bounds_and_averages_that_are_none():
    model = big_model()
    for options in ({"max_norm": -1}, {"clip_value": -1}, {"clip_value": np.nan}):
        with pytest.raises(ValueError, match=next(iter(options))):
            nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model), **options)
    with pytest.raises(TypeError, match="ema int"):
        nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model), ema=3)
    with pytest.raises(ValueError, match="none of the model's parameters"):
        nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model), ema=optim.EMA([np.zeros(3)]))


def test_a_gradient_that_a_dropout_masked_is_masked_again_further_down():
    nn.manual_seed(0)
    norm = [nn.ReLU(), nn.BatchNorm(20), nn.ReLU(), nn.Dropout(0.3)]
    model = nn.Sequential(nn.Linear(6, 20), *norm, nn.Linear(20, CLASSES))
    assert_same_training(model, batches(4, 6, np.float32))


def test_explicit_and_compiled_steps_may_alternate():
    a, b = twins(random_model(5, np.float32)[0])
    data = batches(5, random_model(5, np.float32)[1], np.float32, (12,) * 8)
    loss_fn, slow, fast = nn.CrossEntropyLoss(), sgd(a), sgd(b)
    step = nn.compile_step(b, loss_fn, fast)
    for k, (x, y) in enumerate(data):
        explicit(a, loss_fn, slow, x, y)
        step(x, y) if k % 3 else explicit(b, loss_fn, fast, x, y)
        if k == 4:
            for optimizer in (slow, fast):
                optimizer.lr, optimizer.momentum = 0.01, 0.0
        if k == 6:
            for model, optimizer in ((a, slow), (b, fast)):
                optimizer.momentum = 0.5
                optimizer.load_state_dict(optimizer.state_dict())
                model.parameters()[0].value = model.parameters()[0].value.copy()
        assert_twins(a, b, f"step {k}")


def test_parameters_that_the_optimizer_does_not_hold_stay():
    a, b = twins(nn.Sequential(nn.Linear(6, 9, seed=0), nn.BatchNorm(9), nn.Linear(9, CLASSES, seed=1)))
    loss_fn = nn.CrossEntropyLoss()
    for chosen in (slice(2, 5), slice(4, 5), slice(0, 1)):
        before = a.state_dict()
        slow, fast = (optim.SGD(m.parameters()[chosen], lr=0.1, momentum=0.9) for m in (a, b))
        step = nn.compile_step(b, loss_fn, fast)
        for x, y in batches(2, 6, np.float32):
            explicit(a, loss_fn, slow, x, y)
            step(x, y)
        assert_twins(a, b)
        names = [name for name, _ in a.named_parameters()]
        same = [np.array_equal(before[name], a.state_dict()[name]) for name in names]
        assert same == [i not in range(6)[chosen] for i in range(6)]


def test_a_layer_norm_of_which_the_optimizer_holds_a_part():
    a, b = twins(
        nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 9, seed=0), nn.LayerNorm(9), nn.Linear(9, CLASSES, seed=1))
    )
    for chosen in (slice(0, 1), slice(1, 4), slice(5, 8), slice(2, 4), slice(6, 7)):
        before = a.state_dict()
        slow, fast = (optim.SGD(m.parameters()[chosen], lr=0.1, momentum=0.9) for m in (a, b))
        step = nn.compile_step(b, nn.CrossEntropyLoss(), fast)
        for x, y in batches(2, 6, np.float32, (70, 33)):
            explicit(a, nn.CrossEntropyLoss(), slow, x, y)
            step(x, y)
        assert_twins(a, b)
        same = [np.array_equal(before[name], a.state_dict()[name]) for name in before]
        assert same == [i not in range(8)[chosen] for i in range(8)]


def test_strided_input_and_any_labels_are_taken():
    model = nn.Sequential(nn.Linear(6, CLASSES, seed=0))
    (x, y), *_ = batches(0, 12, np.float32)
    step = nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model, lr=0.0))
    want = step(np.ascontiguousarray(x[:, ::2]), y)
    assert step(x[:, ::2], y.astype(np.int8)) == want == step(x[:, ::2], y.tolist())


def test_labels_and_probabilities_may_alternate():
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(6, CLASSES, seed=0))
    data = [
        (x, y if k % 2 else rng.dirichlet(np.ones(CLASSES), len(x)))
        for k, (x, y) in enumerate(batches(1, 6, np.float32))
    ]
    assert_same_training(model, data)


@pytest.mark.parametrize("layer", [1, 2])
def test_a_single_layer_in_evaluation_mode_is_refused(layer):
    model = nn.Sequential(nn.Linear(6, 9, seed=0), nn.BatchNorm(9), nn.Dropout(), nn.Linear(9, CLASSES, seed=1))
    step = nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model))
    (x, y), *_ = batches(0, 6, np.float32)
    step(x, y)
    model.layers[layer].eval()
    before, offset = model.state_dict(), model.layers[2].offset
    with pytest.raises(ValueError, match="its (BatchNorm|Dropout) is in evaluation mode"):
        step(x, y)
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.layers[2].offset == offset


def test_a_loss_that_is_not_finite_is_returned():
    model = nn.Sequential(nn.Linear(6, CLASSES, seed=0))
    step = nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model))
    assert np.isnan(step(np.full((4, 6), np.nan, np.float32), np.zeros(4, int)))


def test_describe_shows_the_program():
    model = big_model()
    text = nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model)).describe()
    for word in ("MFLOP", "phase 1", "batch_norm(x=h1, weight=1.weight, bias=1.bias", "arena"):
        assert word in text


class Strange(nn.Module):
    def forward(self, x):
        return x

    def backward(self, grad):
        return grad


def test_what_has_no_program_is_named():
    model = nn.Sequential(nn.Linear(6, 9), nn.Sequential(nn.ReLU(), Strange()))
    with pytest.raises(TypeError, match=r"Strange \(layer 1\.1\)"):
        nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model))
    model = nn.Sequential(nn.Linear(6, 9))
    with pytest.raises(TypeError, match="loss_fn function"):
        nn.compile_step(model, lambda y, t: (0, y), sgd(model))
    with pytest.raises(TypeError, match="optimizer object"):
        nn.compile_step(model, nn.CrossEntropyLoss(), object())


def test_layers_and_losses_that_do_not_fit():
    model = nn.Sequential(nn.Linear(6, 9), nn.BatchNorm(8))
    with pytest.raises(ValueError, match=r"1: BatchNorm has 8 features, the layer before gives 9"):
        nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model))
    for layer, shape in ((nn.LayerNorm(8), r"\(8,\)"), (nn.LayerNorm((3, 3)), r"\(3, 3\)")):
        model = nn.Sequential(nn.Linear(6, 9), layer)
        with pytest.raises(ValueError, match=rf"1: LayerNorm normalises {shape}, the layer before gives \(9,\)"):
            nn.compile_step(model, nn.CrossEntropyLoss(), sgd(model))
    model = nn.Sequential(nn.Linear(6, 9))
    with pytest.raises(ValueError, match="reduction"):
        nn.compile_step(model, nn.CrossEntropyLoss(reduction="none"), sgd(model))
    with pytest.raises(ValueError, match="none of the model's parameters"):
        nn.compile_step(nn.Sequential(nn.Linear(6, 9)), nn.CrossEntropyLoss(), sgd(model))
    with pytest.raises(ValueError, match="no parameters"):
        nn.compile_step(nn.Sequential(nn.ReLU()), nn.CrossEntropyLoss(), sgd(model))


def test_bad_batches_are_refused_before_anything_is_written():
    model = nn.Sequential(nn.Linear(6, 9, seed=0), nn.BatchNorm(9), nn.Dropout(), nn.Linear(9, CLASSES, seed=1))
    optimizer = sgd(model)
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optimizer)
    (x, y), *_ = batches(0, 6, np.float32)
    before, offset = model.state_dict(), model.layers[2].offset
    cases = [
        (x[:, :5], y, ValueError, r"\(n >= 2, 6\), not \(20, 5\)"),
        (x[0], y, ValueError, r"not \(6,\)"),
        (x[:1], y[:1], ValueError, r"not \(1, 6\)"),
        (x[:0], y[:0], ValueError, r"not \(0, 6\)"),
        (x.astype(np.float64), y, ValueError, "x must be float32 .* not float64"),
        (x, y[:5], ValueError, r"\(20,\).* not \(5,\)"),
        (x, y + CLASSES, IndexError, "0 .. 4"),
        (x, y - 3, IndexError, "0 .. 4"),
        (x, y.astype(complex), TypeError, "complex128"),
        (x, np.ones((20, 3)), ValueError, r"\(20, 5\)"),
    ]
    for bad_x, bad_y, error, text in cases:
        with pytest.raises(error, match=text):
            step(bad_x, bad_y)
    with pytest.raises(TypeError, match=r"y must be what the loss takes, not None: step\(x, y\)"):
        step(x)
    model.eval()
    with pytest.raises(ValueError, match="evaluation"):
        step(x, y)
    optimizer.lr = -1
    model.train()
    with pytest.raises(ValueError, match="lr"):
        step(x, y)
    optimizer.lr = 0.05
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.layers[2].offset == offset
    assert np.isfinite(step(x, y))
