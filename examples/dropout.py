"""Dropout of the input and of the hidden layers, as Srivastava et al. (JMLR 15, 2014) use it on images.

An input is kept with probability 0.8, a hidden unit with 0.5, so each step trains another thinned network; in
evaluation all of it works together. The same wide network without dropout is trained beside it.
"""

import time

from fastml import data, metrics, nn, optim

X, y = data.load_digits()
X_train, X_test, y_train, y_test = data.split(X / 16, y, test_size=0.5, seed=0)


def build(p_input: float, p_hidden: float) -> nn.Sequential:
    nn.manual_seed(0)
    return nn.Sequential(
        nn.Dropout(p_input),  # p drops: the paper's p, the probability of keeping, is 1 - p
        nn.Linear(64, 512),
        nn.ReLU(),
        nn.Dropout(p_hidden),
        nn.Linear(512, 512),
        nn.ReLU(),
        nn.Dropout(p_hidden),
        nn.Linear(512, 10),
    )


for name, model in (("without dropout", build(0.0, 0.0)), ("with dropout", build(0.2, 0.5))):
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.05, momentum=0.9))
    batches = data.batches(X_train, y_train, batch_size=50, seed=0)
    start = time.perf_counter()
    for _ in range(60):
        total = sum(float(step(xb, yb)) for xb, yb in batches)
    seconds = time.perf_counter() - start
    model.eval()  # from here on the dropouts hand their input on
    accuracy = metrics.accuracy_score(y_test, model(X_test).argmax(axis=1))
    print(
        f"{name}: {seconds:.2f} s, loss of the last pass {total / len(batches):.4f}, "
        f"accuracy on {len(y_test)} held-out images: {accuracy:.3f}"
    )
