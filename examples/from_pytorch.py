"""A model from PyTorch, trained on with fastml, and given back.

Layers have PyTorch's names and shapes, so a state_dict fits as it is, in both directions.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from fastml import data, metrics, nn, optim

X, y = data.load_digits()
X_train, X_test, y_train, y_test = data.split(X / 16, y, test_size=0.2, seed=0)


def accuracy(logits: NDArray[np.floating]) -> float:
    return metrics.accuracy_score(y_test, logits.argmax(axis=1))


# A PyTorch model after a little training with PyTorch.
torch.manual_seed(0)
theirs = torch.nn.Sequential(
    torch.nn.Linear(64, 64),
    torch.nn.BatchNorm1d(64),
    torch.nn.ReLU(),
    torch.nn.Linear(64, 10),
)
opt = torch.optim.SGD(theirs.parameters(), lr=0.02)
for xb, yb in data.batches(X_train, y_train, batch_size=32):
    opt.zero_grad()
    torch.nn.functional.cross_entropy(theirs(torch.from_numpy(xb)), torch.from_numpy(yb)).backward()
    opt.step()

# The same layers here, and the state taken over: weights, biases, running statistics.
ours = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm(64), nn.ReLU(), nn.Linear(64, 10))
ours.load_state_dict(theirs.state_dict())

ours.eval()
theirs.eval()
with torch.no_grad():
    difference = abs(ours(X_test) - theirs(torch.from_numpy(X_test)).numpy()).max()
print(f"largest difference between the two models' outputs: {difference:.1e}")
print(f"accuracy as it came: {accuracy(ours(X_test)):.3f}")

# Training goes on where PyTorch stopped.
ours.train()
loss_fn = nn.CrossEntropyLoss()
sgd = optim.SGD(ours.parameters(), lr=0.1, momentum=0.9)
batches = data.batches(X_train, y_train, batch_size=32)
for _ in range(5):
    for xb, yb in batches:
        loss, grad = loss_fn(ours(xb), yb)
        ours.backward(grad)
        sgd.step()
ours.eval()
print(f"accuracy after five epochs of fastml: {accuracy(ours(X_test)):.3f}")

# And back.
theirs.load_state_dict({name: torch.from_numpy(value) for name, value in ours.state_dict().items()})
with torch.no_grad():
    print(f"accuracy back in PyTorch: {accuracy(theirs(torch.from_numpy(X_test)).numpy()):.3f}")
