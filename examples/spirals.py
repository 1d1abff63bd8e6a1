"""Three spirals, learnt by a small network, and the decision boundary drawn over the points.

The data set is the one of TensorFlow Playground (https://playground.tensorflow.org), with a third arm. Run
`python spirals.py [FILE.png]`.
"""

import sys

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import fastml
from fastml import nn, optim

# Arm k starts at the centre in direction k · 120° and makes one and a quarter turns; noise blurs it.
rng = np.random.default_rng(0)
arms, points = 3, 200
y = np.repeat(np.arange(arms), points)
r = np.tile(np.linspace(0.05, 1, points), arms)
angle = 2.5 * np.pi * r + 2 * np.pi * y / arms
X = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)
X = (X + 0.025 * rng.standard_normal(X.shape)).astype(np.float32)

nn.manual_seed(1)
model = nn.Sequential(
    nn.Linear(2, 64),
    nn.ReLU(),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, arms),
)
loss_fn = nn.CrossEntropyLoss()
opt = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for epoch in range(600):  # each on all points at once
    loss, grad = loss_fn(model(X), y)
    model.backward(grad)
    opt.step()
    if (epoch + 1) % 100 == 0:
        print(f"epoch {epoch + 1}: loss {loss:.4f}")
accuracy = (model(X).argmax(axis=1) == y).mean()
print(f"accuracy on {len(y)} points: {accuracy:.3f}")

# The probabilities of the three classes over the plane, as a mixture of their colours.
side = np.linspace(-1.15, 1.15, 400, dtype=np.float32)
plane = np.stack(np.meshgrid(side, side), axis=-1)
p = fastml.softmax(model(plane.reshape(-1, 2))).reshape(400, 400, arms)
colours = np.array([to_rgb(name) for name in ("tab:orange", "tab:blue", "tab:green")])

figure = Figure(figsize=(6, 6), layout="constrained")
axes = figure.add_subplot()
axes.imshow(1 - 0.6 * p @ (1 - colours), extent=(-1.15, 1.15) * 2, origin="lower", interpolation="bilinear")
for k in range(arms):  # the line where class k and the best of the others are equally likely
    lead = p[..., k] - np.delete(p, k, axis=-1).max(axis=-1)
    axes.contour(side, side, lead, levels=[0], colors="white", linewidths=1.5)
axes.scatter(X[:, 0], X[:, 1], c=colours[y], s=16, edgecolors="black", linewidths=0.4)
axes.set(title=f"three spirals: {accuracy:.1%} of the points right", aspect="equal", xticks=[], yticks=[])
path = sys.argv[1] if len(sys.argv) > 1 else "spirals.png"
figure.savefig(path, dpi=150)
print(f"wrote {path}")
