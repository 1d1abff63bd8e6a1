"""A training loop in the open: forward, loss, backward, update.

Trains a digit classifier in a second or two and prints its accuracy on images that it has not seen.
"""

from fastml import data, metrics, nn, optim

X, y = data.load_digits()  # 1797 images of 8 × 8 pixels, each 0 … 16
X_train, X_test, y_train, y_test = data.split(X / 16, y, test_size=0.2, seed=0)

nn.manual_seed(0)  # the same seed gives the same bits, on any machine and for any number of threads
model = nn.Sequential(
    nn.Linear(64, 64),
    nn.BatchNorm(64),
    nn.ReLU(),
    nn.Dropout(0.2),
    nn.Linear(64, 10),
)
loss_fn = nn.CrossEntropyLoss()
opt = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
batches = data.batches(X_train, y_train, batch_size=32, seed=0)  # a new order in every pass

for epoch in range(10):
    total = 0.0
    for xb, yb in batches:
        loss, grad = loss_fn(model(xb), yb)  # the loss, and its gradient with respect to the model's output
        model.backward(grad)  # fills every parameter's .grad
        opt.step()  # uses them
        total += float(loss)
    print(f"epoch {epoch + 1:2}: loss {total / len(batches):.4f}")

model.eval()  # batch norm by its running statistics, no dropout
accuracy = metrics.accuracy_score(y_test, model(X_test).argmax(axis=1))
print(f"accuracy on {len(y_test)} held-out images: {accuracy:.3f}")
