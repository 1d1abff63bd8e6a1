"""A whole training step (forward, cross-entropy, backward, SGD with momentum) on one batch again and again.

`step` is the compiled step, `step_explicit` the loop of model, loss_fn, backward (without the input's gradient, which
no peer computes) and opt.step();
`step_scaling` is the compiled step over batch sizes and widths. The networks: 784-256-128-10 with batch norm,
ReLU and dropout 0.2 behind each hidden layer, and two small ones with ReLU alone, all with biases.

The peers do the same from the same weights: PyTorch eager with the fused SGD (a few per cent faster than the
foreach and the single-tensor one on all three networks), JAX with the whole step in one jit, its state
donated and the dropout's key folded with the step's number, and NumPy with results written into memory given
beforehand. The losses of the first steps, with dropout off, are compared with the reference's in float64.

FLOPs are those of the matrix products: three a layer and two in the first, which needs no gradient of its
input. Bytes are the fewest: the batch is read once, parameters and velocities are read and written once,
every layer's result and its gradient are written once and read once.
"""

from dataclasses import dataclass

import numpy as np

from fastml import nn, optim, reference

from .common import Case, Setup, assert_close, normal, to_numpy

LR, MOMENTUM, P, EPS = 0.01, 0.9, 0.2, 1e-5
RUNNING = 0.1  # what batch norm's running statistics take from each batch
CHECKED = 4  # steps: from the second on the loss depends on the gradients, from the third on the velocities


@dataclass(frozen=True)
class Network:
    """Sizes from input to classes; `norm`: batch norm and dropout in the hidden layers."""

    sizes: tuple[int, ...]
    batch: int
    norm: bool = False

    @property
    def label(self):
        return f"{'-'.join(map(str, self.sizes))} batch {self.batch}"

    def layers(self):
        return list(zip(self.sizes, self.sizes[1:], strict=False))

    def data(self):
        """A batch and its labels."""
        labels = np.random.default_rng(1).integers(0, self.sizes[-1], self.batch)
        return normal((self.batch, self.sizes[0]), "float32"), labels

    def weights(self):
        """One (weight, bias) a layer."""
        return [
            (normal((m, n), "float32", seed=2 * i, scale=n**-0.5), normal((m,), "float32", 2 * i + 1, 0.1))
            for i, (n, m) in enumerate(self.layers(), start=2)
        ]

    def flops(self):
        macs = [n * m * self.batch for n, m in self.layers()]
        return 2 * (3 * sum(macs) - macs[0])

    def nbytes(self):
        hidden = self.sizes[1:-1] if self.norm else ()
        parameters = sum(n * m + m for n, m in self.layers()) + 2 * sum(hidden)
        return 4 * (self.batch * self.sizes[0] + 4 * parameters + 4 * self.batch * sum(self.sizes[1:]))


def _fastml_model(net, p):
    layers = []
    for i, ((n, m), arrays) in enumerate(zip(net.layers(), net.weights(), strict=True)):
        if i and net.norm:
            layers += [nn.BatchNorm(n, EPS, RUNNING), nn.ReLU(), nn.Dropout(p, seed=i)]
        elif i:
            layers.append(nn.ReLU())
        linear = nn.Linear(n, m, seed=0)
        linear.weight.value[...], linear.bias.value[...] = arrays
        layers.append(linear)
    model = nn.Sequential(*layers)
    return model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), LR, MOMENTUM)


def _fastml_compiled(net, p):
    x, y = net.data()
    step = nn.compile_step(*_fastml_model(net, p))
    return lambda: step(x, y)


def _fastml_explicit(net, p):
    x, y = net.data()
    model, loss_fn, opt = _fastml_model(net, p)

    def call():
        loss, grad = loss_fn(model(x), y)
        model.backward(grad, input_grad=False)
        opt.step()
        return loss

    return call


def _torch(net, p):
    import torch

    layers = []
    for i, ((n, m), arrays) in enumerate(zip(net.layers(), net.weights(), strict=True)):
        if i and net.norm:
            layers += [torch.nn.BatchNorm1d(n, EPS, RUNNING), torch.nn.ReLU(), torch.nn.Dropout(p)]
        elif i:
            layers.append(torch.nn.ReLU())
        linear = torch.nn.Linear(n, m)
        linear.weight.data, linear.bias.data = map(torch.from_numpy, arrays)
        layers.append(linear)
    model = torch.nn.Sequential(*layers)
    opt = torch.optim.SGD(model.parameters(), LR, MOMENTUM, fused=True)
    loss_fn = torch.nn.CrossEntropyLoss()
    x, y = map(torch.from_numpy, net.data())

    def call():
        opt.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        opt.step()
        return loss

    return call


def _jax(net, p):
    import jax
    from jax import numpy as jnp

    x, y = map(jnp.asarray, net.data())
    key = jax.random.key(0)

    def loss_of(params, running, key):
        h, after = x, []
        for i, (w, b) in enumerate(params["linear"]):
            if i and net.norm:
                mean = h.mean(0)
                centred = h - mean
                var = (centred * centred).mean(0)
                unbiased = var * (net.batch / (net.batch - 1))
                old = running[i - 1]
                after.append((old[0] + RUNNING * (mean - old[0]), old[1] + RUNNING * (unbiased - old[1])))
                weight, bias = params["norm"][i - 1]
                h = centred * jax.lax.rsqrt(var + EPS) * weight + bias
            if i:
                h = jax.nn.relu(h)
            if i and net.norm and p:
                kept = jax.random.bernoulli(jax.random.fold_in(key, i), 1 - p, h.shape)
                h = jnp.where(kept, h / (1 - p), 0)
            h = h @ w.T + b
        return -jnp.take_along_axis(jax.nn.log_softmax(h), y[:, None], 1).mean(), after

    def step(state):
        params, velocities, running, n = state
        (loss, running), grads = jax.value_and_grad(loss_of, has_aux=True)(params, running, jax.random.fold_in(key, n))
        velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocities, grads)
        params = jax.tree.map(lambda p, v: p - LR * v, params, velocities)
        return (params, velocities, running, n + 1), loss

    hidden = net.sizes[1:-1] if net.norm else ()
    params = {
        "linear": [(jnp.asarray(w), jnp.asarray(b)) for w, b in net.weights()],
        "norm": [(jnp.ones(m, "float32"), jnp.zeros(m, "float32")) for m in hidden],
    }
    running = [(jnp.zeros(m, "float32"), jnp.ones(m, "float32")) for m in hidden]
    state = params, jax.tree.map(jnp.zeros_like, params), running, jnp.int32(0)
    kernel = jax.jit(step, donate_argnums=0)

    def call():
        nonlocal state
        state, loss = kernel(state)
        return loss.block_until_ready()

    return call


def _numpy(net, p):
    """Long because forward, loss, backward and update are one step over the same buffers."""
    x, y = net.data()
    batch, last = net.batch, len(net.sizes) - 2
    rng, rows = np.random.default_rng(0), np.arange(net.batch)
    weights = [arrays for pair in net.weights() for arrays in pair]
    norms = [f(m, dtype="float32") for m in net.sizes[1:-1] for f in (np.ones, np.zeros)] if net.norm else []
    running = [np.array(a) for a in norms]  # variance and mean
    params = weights + norms
    grads, velocities, scratch = ([np.zeros_like(a) for a in params] for _ in range(3))
    results, hidden, work = ([np.empty((batch, m), "float32") for m in net.sizes[1:]] for _ in range(3))
    upstream = [np.empty_like(h) for h in hidden[:-1]]
    kept = [np.empty(h.shape, bool) for h in hidden[:-1]]
    scales, inputs = [None] * last, [x, *hidden[:-1]]

    def forward():
        for i, z in enumerate(results):
            np.matmul(inputs[i], params[2 * i].T, out=z)
            z += params[2 * i + 1]
            if i == last:
                return z
            h = hidden[i]
            if net.norm:
                mean = z.mean(0)
                z -= mean
                var = np.multiply(z, z, out=h).mean(0)
                running[2 * i] += RUNNING * (var * (batch / (batch - 1)) - running[2 * i])
                running[2 * i + 1] += RUNNING * (mean - running[2 * i + 1])
                scales[i] = 1 / np.sqrt(var + EPS)
                z *= scales[i]
                np.multiply(z, norms[2 * i], out=h)
                h += norms[2 * i + 1]
                np.maximum(h, 0, out=h)
            else:
                np.maximum(z, 0, out=h)
            if net.norm and p:
                np.greater_equal(rng.random(out=work[i], dtype=np.float32), p, out=kept[i])
                h *= kept[i]
                h *= 1 / (1 - p)

    def cross_entropy(d):
        """The loss of the logits d, which become its gradient."""
        d -= d.max(1, keepdims=True)
        picked = d[rows, y]
        np.exp(d, out=d)
        total = d.sum(1)
        loss = np.mean(np.log(total) - picked)
        d *= (1 / (batch * total))[:, None]
        d[rows, y] -= 1 / batch
        return loss

    def backward(d):
        for i in range(last, -1, -1):
            np.matmul(d.T, inputs[i], out=grads[2 * i])
            np.sum(d, 0, out=grads[2 * i + 1])
            if i == 0:
                return
            g = np.matmul(d, params[2 * i], out=upstream[i - 1])
            g *= np.greater(inputs[i], 0, out=kept[i - 1])  # what dropout took is 0 as well
            if net.norm:
                if p:
                    g *= 1 / (1 - p)
                normed, product = results[i - 1], work[i - 1]
                at = len(weights) + 2 * (i - 1)
                np.sum(np.multiply(g, normed, out=product), 0, out=grads[at])
                np.sum(g, 0, out=grads[at + 1])
                g -= np.multiply(normed, grads[at] / batch, out=product)
                g -= grads[at + 1] / batch
                g *= params[at] * scales[i - 1]
            d = g

    def call():
        logits = forward()
        loss = cross_entropy(logits)
        backward(logits)
        for param, grad, velocity, change in zip(params, grads, velocities, scratch, strict=True):
            velocity *= MOMENTUM
            velocity += grad
            param -= np.multiply(velocity, LR, out=change)
        return loss

    return call


def _expected_losses(net):
    """The losses of the first steps without dropout, by the reference."""
    x, y = net.data()
    params = [a.astype("float64") for pair in net.weights() for a in pair]
    norms = [f(m) for m in net.sizes[1:-1] for f in (np.ones, np.zeros)] if net.norm else []
    velocities, losses = [np.zeros_like(a) for a in params + norms], []
    for _ in range(CHECKED):
        h, saved = x.astype("float64"), []
        for i, (w, b) in enumerate(zip(params[::2], params[1::2], strict=True)):
            norm = None
            if i:
                z = h
                if net.norm:
                    h, *norm = reference.batch_norm(z, norms[2 * i - 2], norms[2 * i - 1], eps=EPS)
                norm, h = (z, norm, h), reference.relu(h)
            saved.append((norm, h))
            h = reference.linear(h, w, b)
        loss, d = reference.cross_entropy_with_grad(h, y)
        grads, norm_grads = [], []
        for i, (norm, h) in reversed(list(enumerate(saved))):
            d, dw, db = reference.linear_backward(d, h, params[2 * i])
            grads = [dw, db, *grads]
            if i:
                z, moments, before = norm
                d = reference.relu_backward(d, before)
                if net.norm:
                    d, dw, db = reference.batch_norm_backward(d, z, norms[2 * i - 2], *moments)
                    norm_grads = [dw, db, *norm_grads]
        reference.sgd_step(params + norms, grads + norm_grads, velocities, lr=LR, momentum=MOMENTUM)
        losses.append(float(loss))
    return losses


def _case(op, net, fastml_, threads=None):
    def setup():
        steps = {"fastml": fastml_, "torch": _torch, "numpy": _numpy, "jax": _jax}

        def builder(step):
            return lambda: step(net, P)

        def trial(step):
            def build():
                call = step(net, 0)
                return lambda: np.array([to_numpy(call()) for _ in range(CHECKED)])

            return build

        expected = _expected_losses(net)

        def check(result, peer):
            assert_close(result, expected, "float32", peer)

        return Setup(
            {peer: builder(step) for peer, step in steps.items()},
            check,
            {peer: trial(step) for peer, step in steps.items()},
        )

    label = net.label + (", 1 thread" if threads == 1 else "")
    return Case(op, label, "float32", setup, net.nbytes(), net.flops(), threads)


NETWORKS = (Network((784, 256, 128, 10), 128, norm=True), Network((4, 16, 16, 3), 32), Network((64, 64, 10), 64))
SCALING = (
    *(Network((784, 256, 128, 10), batch, norm=True) for batch in (16, 32, 64, 128, 256, 512, 1024)),
    *(Network((784, width, width // 2, 10), 128, norm=True) for width in (64, 128, 512, 1024, 2048)),
)
STEPS = {"step": _fastml_compiled, "step_explicit": _fastml_explicit}
CASES = [
    *(_case(op, net, step, threads) for op, step in STEPS.items() for threads in (1, None) for net in NETWORKS),
    *(_case("step_scaling", net, _fastml_compiled) for net in SCALING),
]
