"""The data steps of a first course: labels as one-hot rows, a file and back, and gradient descent in three regimes.

Batch gradient descent takes one step per pass over all points, stochastic gradient descent one per point, and
mini-batches are between: many steps, each of them on enough points to be worth its time.
"""

import os
import tempfile
import time

import numpy as np

import fastml
from fastml import data, metrics, nn, optim

# 1. Points on two spirals, the classes 0 and 1; a fifth of them held out.
X, y = data.make_spirals(1000, noise=0.1, seed=0)
X_train, X_test, y_train, y_test = data.split(X, y, test_size=0.2, seed=0)
print(f"{len(y_train)} points to learn from, {len(y_test)} held out")

# 2. One-hot labels: a row for each label, a one in its place.
print("labels", y_train[:3], "as rows", fastml.one_hot(y_train[:3], 2).tolist())
assert np.array_equal(fastml.one_hot(y_train, 2).argmax(axis=1), y_train)

# 3. A file and back, in the format of MNIST: big-endian float32, gzip by the name.
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "points.idx.gz")
    data.write_idx(path, X_train)
    same = np.array_equal(data.read_idx(path), X_train)
    print(f"{X_train.nbytes} bytes of points in a file of {os.path.getsize(path)}, the same when read: {same}")


# 4. One network, the same steps, three sizes of batch.
def train(batch_size: int | None, epochs: int, lr: float) -> None:
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=lr, momentum=0.9))
    start = time.perf_counter()
    passes = data.batches(X_train, y_train, batch_size=batch_size, seed=0)
    for _ in range(epochs):
        total = sum(float(step(xb, yb)) for xb, yb in passes)
    seconds = time.perf_counter() - start
    accuracy = metrics.accuracy_score(y_test, model(X_test).argmax(axis=1))
    print(
        f"batch size {batch_size}: {epochs} passes of {len(passes)} steps, {seconds:.2f} s, "
        f"loss {total / len(passes):.4f}, accuracy on {len(y_test)} held-out points: {accuracy:.3f}"
    )


train(None, epochs=100, lr=0.1)  # batch gradient descent: one step a pass
train(1, epochs=100, lr=0.001)  # stochastic: 800 steps a pass, each on a single point
train(32, epochs=100, lr=0.05)  # mini-batches
