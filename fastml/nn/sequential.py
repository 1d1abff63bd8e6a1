"""Layers one after the other."""

from collections import Counter

from .._check import flag, integer
from .._tracked import count
from .linear import Linear
from .module import Module, added


class Sequential(Module):
    """Layers applied in turn; backward goes through them in reverse order.

    Parameters are named by position: ``"0.weight"``. Supports ``len``, iteration and indexing (a slice
    gives a Sequential that shares its layers). ``layers`` may be set, to another tuple of them.

    A Parameter may stand in several layers (``b.weight = a.weight``): it is one of ``parameters()``, has both names in
    ``state_dict()``, and its gradient is the sum over the layers, added from the last one to the first.

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

    _live = frozenset({*Module._live, "_ties"})
    _ties = (-1, {})

    def __init__(self, *layers):
        self.layers = layers

    def __setattr__(self, name, value):
        if name == "layers":
            value = tuple(value)
            for i, layer in enumerate(value):
                if not isinstance(layer, Module):
                    raise TypeError(f"layers[{i}] must be a Module, not {type(layer).__name__}")
            check_once([module for layer in value for module in layer.modules()])
        super().__setattr__(name, value)

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad, input_grad=True):
        """Gradient of the input; None with ``input_grad=False``, which saves the first layer the product for it."""
        if type(input_grad) is not bool:
            input_grad = flag(input_grad, "input_grad")
        first = 0 if input_grad else self._first_learning()
        layers, ties, sums = self.layers, self._tied(), {}
        for i in range(len(layers) - 1, first - 1, -1):
            layer = layers[i]
            if input_grad or i > first or not isinstance(layer, (Linear, Sequential)):
                grad = layer.backward(grad)
            else:
                grad = layer.backward(grad, input_grad=False)
            if ties:
                for parameter in ties.get(i, ()):
                    known = sums.get(parameter)
                    if known is not None:
                        parameter.grad = added(known, parameter.grad)
                    sums[parameter] = parameter.grad
        return grad if input_grad else None

    def _tied(self):
        """By the layer's number the parameters that it shares with another layer, found again only where an attribute
        was set meanwhile."""
        now = count()
        if self._ties[0] != now:
            check_once(self.modules())
            held = [layer.parameters() for layer in self.layers]
            often = Counter(parameter for parameters in held for parameter in parameters)
            shared = {i: [p for p in parameters if often[p] > 1] for i, parameters in enumerate(held)}
            self._ties = now, {i: parameters for i, parameters in shared.items() if parameters}
        return self._ties[1]

    def _first_learning(self):
        """The first layer that has parameters."""
        return next((i for i, layer in enumerate(self.layers) if layer.parameters()), len(self.layers))

    def lower(self, plan, x, name):
        backwards = []
        for i, layer in enumerate(self.layers):
            x, backward = layer.lower(plan, x, f"{name}.{i}" if name else str(i))
            backwards.append((layer, backward))

        def backward(dy, wanted):
            mine = len(plan.gradients)
            learns = [any(map(plan.learns, layer.parameters())) for layer, _ in backwards]
            for i in range(len(backwards) - 1, -1, -1):
                if not (wanted or any(learns[: i + 1])):
                    return None
                before = len(plan.gradients)
                dy = backwards[i][1](dy, wanted or any(learns[:i]))
                plan.add_up(before, before)
                plan.add_up(mine, before)
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
        if isinstance(index, slice):
            return Sequential(*self.layers[index])
        index, n = integer(index, "index"), len(self)
        if not -n <= index < n:
            raise IndexError(f"index must be between {-n} and {n - 1}, not {index}")
        return self.layers[index]


def check_once(modules):
    """ValueError where a module stands twice: it keeps only the last input for its backward."""
    seen = set()
    for module in modules:
        if id(module) in seen:
            raise ValueError(f"{type(module).__name__} stands twice in the model: build one for each place")
        seen.add(id(module))
