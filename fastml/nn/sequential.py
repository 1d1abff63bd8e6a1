"""Layers one after the other."""

from .linear import Linear
from .module import Module


class Sequential(Module):
    """Layers applied in turn; backward goes through them in reverse order.

    Parameters are named by position: ``"0.weight"``. Supports ``len``, iteration and indexing (a slice
    gives a Sequential that shares its layers).

    Raises TypeError for anything that is no Module, ValueError where one module stands twice: it could
    keep only its last input.

    Source: ``torch.nn.Sequential``.

    >>> from fastml import nn
    >>> nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
      (2): Linear(in_features=8, out_features=3, bias=True)
    )
    """

    def __init__(self, *layers):
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise TypeError(f"layer {i} must be a Module, got {type(layer).__name__}")
        self.layers = layers
        seen = set()
        for module in self.modules():
            if id(module) in seen:
                raise ValueError(
                    f"{type(module).__name__} stands twice in the model: build one for each place"
                )
            seen.add(id(module))

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad, input_grad=True):
        """Gradient of the input; None with ``input_grad=False``, which saves the first layer the product for it."""
        first = 0 if input_grad else self._first_learning()
        for i in range(len(self.layers) - 1, first - 1, -1):
            layer = self.layers[i]
            if i == first and not input_grad and isinstance(layer, (Linear, Sequential)):
                return layer.backward(grad, input_grad=False)
            grad = layer.backward(grad)
        return grad if input_grad else None

    def _first_learning(self):
        """The first layer that has parameters."""
        return next((i for i, layer in enumerate(self.layers) if layer.parameters()), len(self.layers))

    def lower(self, plan, x, name):
        backwards = []
        for i, layer in enumerate(self.layers):
            x, backward = layer.lower(plan, x, f"{name}.{i}" if name else str(i))
            backwards.append((layer, backward))

        def backward(dy, wanted):
            learns = [any(map(plan.learns, layer.parameters())) for layer, _ in backwards]
            for i in range(len(backwards) - 1, -1, -1):
                if not (wanted or any(learns[: i + 1])):
                    return None
                dy = backwards[i][1](dy, wanted or any(learns[:i]))
                plan.update()
            return dy

        return x, backward

    def named_children(self):
        return [(str(i), layer) for i, layer in enumerate(self.layers)]

    def __len__(self):
        return len(self.layers)

    def __iter__(self):
        return iter(self.layers)

    def __getitem__(self, index):
        return Sequential(*self.layers[index]) if isinstance(index, slice) else self.layers[index]
