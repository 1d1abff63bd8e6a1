"""The same training as explicit_loop.py, its step compiled into one native program.

`compile_step` takes the model, the loss and the optimizer as they are. The results are the same to the bit; only
the time differs.
"""

from fastml import data, metrics, nn, optim

X, y = data.load_digits()
X_train, X_test, y_train, y_test = data.split(X / 16, y, test_size=0.2, seed=0)

nn.manual_seed(0)
model = nn.Sequential(
    nn.Linear(64, 64),
    nn.BatchNorm(64),
    nn.ReLU(),
    nn.Dropout(0.2),
    nn.Linear(64, 10),
)
loss_fn = nn.CrossEntropyLoss()
opt = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
batches = data.batches(X_train, y_train, batch_size=32, seed=0)

step = nn.compile_step(model, loss_fn, opt)

for epoch in range(10):
    total = sum(float(step(xb, yb)) for xb, yb in batches)  # forward, loss, backward and update in one call
    print(f"epoch {epoch + 1:2}: loss {total / len(batches):.4f}")

print(step.describe())  # what runs: the phases of the program, what is fused, memory and arithmetic

model.eval()
accuracy = metrics.accuracy_score(y_test, model(X_test).argmax(axis=1))
print(f"accuracy on {len(y_test)} held-out images: {accuracy:.3f}")
