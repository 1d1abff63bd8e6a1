"""What a layer, a loss and an optimizer write down when a training step is compiled.

A plan is a list of stages in the order of the mathematics. Every stage is one kernel over matrices. The kernel's card
names them, and says how the stage may be cut: by rows of the batch, by columns, or both, and which operands a tile then
needs whole; all others it touches only within its own rows or columns. schedule.py makes phases of that.
"""

import math

import numpy as np

from .._check import shown
from .._kernels.step import update as tiles
from .._kernels.step.caller import MOST_AXES, facts
from .._kernels.step.elementwise import bit_bytes
from .fuse import fuse
from .stage import Matrix, Spacing, Stage

#: SGD's options by which a sum gains a gradient: a step of rate 1 along -g, as nn.module.added takes it.
ADDED = tiles.sgd_options(1, 0, 1, 0, -1, False)

#: In the place of an array that every step brings along.
GIVEN = object()


class Plan:
    """The stages of one step on batches of up to ``rows`` rows; ``shared``: parameters that stand in several places."""

    def __init__(self, rows, dtype, max_norm=None, clip_value=None, shared=()):
        self.rows = rows
        self.max_norm = max_norm
        self.clip_value = clip_value
        self.shared = shared
        self.dtype = np.dtype(dtype)
        self.matrices = []
        self.stages = []
        # Functions of the number of rows. Before every step: what may raise, and writes nothing but the plan's numbers.
        self.prepare = []
        # After it: what counts steps, batches and places.
        self.commit = []
        self.closing = []  # functions without arguments, called when all stages are there
        self.beside = []  # (array, name, whether it is written): not of the program, but what `commit` works on
        self.copied = []  # (array, its bytes): what the program has a copy of
        self.modes = []  # modules that do something else in evaluation mode
        self.least_rows = 1
        self.learnt = set()  # ids of the parameters that the optimizer moves
        self.gradients = []  # (parameter, its array, its gradient), in the order in which they are found
        self._places = {}  # the matrix of each parameter
        self._activations = 0

    def matrix(self, name, cols, rows=None, dtype=None, array=None, spacing=None, shape=None):
        """A new operand."""
        itemsize = (self.dtype if dtype is None else np.dtype(dtype)).itemsize
        if spacing is None:
            spacing = Spacing(dense=array is not None)
        made = Matrix(len(self.matrices), name, rows, cols, itemsize, array, spacing, shape or (cols,))
        self.matrices.append(made)
        return made

    def activation(self, cols, spacing=None, shape=None):
        """A matrix of the batch with a row for every sample, ``shape`` unless it is a plain row."""
        self._activations += 1
        return self.matrix(f"h{self._activations}", cols, spacing=spacing, shape=shape)

    def like(self, x):
        """A matrix of the batch whose rows lie as those of x."""
        return self.activation(x.cols, x.spacing, x.shape)

    def over(self, x):
        """Where the result of an element-wise layer goes: over x if nobody needs that any more."""
        return self.like(x) if x.kept or x.array is not None else x

    def gradient(self, x):
        """The gradient of x, in memory of its own."""
        return self.matrix(f"d{x.name}", x.cols, spacing=x.spacing, shape=x.shape)

    def bits(self, x):
        """A bit for each element of x."""
        return self.matrix(f"bits of {x}", bit_bytes(x.cols), dtype=np.uint8)

    def outside(self, array, name, shape):
        """An array of parameters or statistics, read and written in place: one row for each column it makes."""
        if array is None:
            return None
        check_array(array, name, shape, self.dtype)
        return self.matrix(name, math.prod(shape[1:]), rows=shape[0], array=array)

    def parameter(self, parameter, name, shape, optional=False):
        """A parameter's array."""
        if parameter is None and optional:
            return None
        if not hasattr(parameter, "value"):
            raise TypeError(f"{name} must be a Parameter, not {type(parameter).__name__}")
        if parameter.value is None:
            raise TypeError(f"{name} must have an array in value, not None")
        if parameter in self._places:
            check_array(parameter.value, name, shape, self.dtype)
        else:
            self._places[parameter] = self.outside(parameter.value, name, shape)
        return self._places[parameter]

    def constant(self, array, name, source):
        """An array of the plan's own, made from ``source``: when that has other bytes, the plan is made anew."""
        if array is None:
            return None
        if not isinstance(source, (int, float, np.generic)):  # a number's change is one of an attribute
            self.copied.append((source, np.asarray(source).tobytes()))
        return self.matrix(name, math.prod(array.shape[1:]), rows=len(array), array=array)

    @property
    def given(self):
        """The numbers of the matrices that every step brings along; the batch is the first."""
        return tuple(m.index for m in self.matrices if m.array is GIVEN)

    def close(self):
        """Fuse the stages, and refuse arrays that are read-only where they are written, and those that share memory.

        ``bound``: all arrays outside, as (array, name, whether it is written).
        """
        for close in self.closing:
            close()
        self.stages = fuse(self.stages)
        written = {m.index for stage in self.stages for m, writes in stage.touched.items() if writes}
        outside = [m for m in self.matrices if m.array is not None and m.array is not GIVEN]
        self.bound = [*((m.array, m.name, m.index in written) for m in outside), *self.beside]
        spans = []
        for array, name, writes in self.bound:
            first, size, shape, *_, writeable = facts(array)
            if len(shape) > MOST_AXES:
                raise ValueError(f"{name} must have at most {MOST_AXES} axes, not {len(shape)}")
            if writes and not writeable:
                raise ValueError(f"{name} is read-only")
            spans.append((first, first + size, name, writes))
        spans.sort(key=lambda span: span[:2])
        near = []
        for span in spans:
            near = [other for other in near if other[1] > span[0]]
            for other in near:
                if span[3] or other[3]:
                    raise ValueError(
                        f"{span[2]} shares memory with {other[2]}: give each an array of its own, "
                        "or one Parameter to both"
                    )
            near.append(span)

    def keep(self, x):
        """Backward reads x: no later layer may write over it."""
        x.kept = True

    def vector(self, name, n, cols=1, dtype=None):
        """One number, or ``cols`` of them, for each of n columns."""
        return self.matrix(name, cols, rows=n, dtype=dtype)

    def update_with(self, *updates):
        """Each ``update(parameter, value, gradient)`` writes down what is done with a gradient: by the optimizer, and
        by what follows it."""
        self._updates = updates

    def update(self):
        """Let the optimizer have the gradients found so far, but not those of which more may come, and none where
        their norm must be known first."""
        if self.max_norm is None:
            self._update_all([found for found in self.gradients if found[0] not in self.shared])
            self.gradients = [found for found in self.gradients if found[0] in self.shared]

    def _update_all(self, gradients):
        self._clip_values(gradients)
        if self.max_norm is not None and gradients:
            self._clip_norm(gradients)
        for parameter, value, gradient in gradients:
            for update in self._updates:
                update(parameter, value, gradient)

    def add_up(self, first, since):
        """Add each gradient found from number ``since`` on to one of the same parameter from ``first`` on."""
        found, self.gradients = self.gradients[since:], self.gradients[:since]
        for parameter, value, gradient in found:
            earlier = [g for p, _, g in self.gradients[first:] if p is parameter]
            if not earlier:
                self.gradients.append((parameter, value, gradient))
                continue
            self.emit(tiles.add, parameter=earlier[0], velocity=None, gradient=gradient, options=ADDED)

    def finish(self, parameters):
        """All gradients are found: let the optimizer have what it does not have yet, in the order of the parameters."""
        self.add_up(0, 0)
        order = {parameter: i for i, parameter in enumerate(parameters)}
        self._update_all(sorted(self.gradients, key=lambda found: order[found[0]]))
        self.gradients = []

    def _clip_values(self, gradients):
        if self.clip_value is not None:
            for _, _, gradient in gradients:
                self.emit(tiles.clip_value, gradient=gradient, bound=self.clip_value)

    def _clip_norm(self, gradients):
        total = self.vector("squares", 1, 2, np.float64)  # a tally
        for k, (_, _, gradient) in enumerate(gradients):
            elements = gradient.rows * gradient.cols
            n = tiles.blocks(elements, self.dtype.itemsize)
            sums = self.vector(f"squares of {gradient}", n, dtype=np.float64)
            self.emit(tiles.squares, sums=sums, gradient=gradient, elements=elements)
            self.emit(tiles.total, total=total, sums=sums, blocks=n, first=k == 0)
        for _, _, gradient in gradients:
            self.emit(tiles.clip, gradient=gradient, total=total, max_norm=self.max_norm)

    def learns(self, parameter):
        """Whether the optimizer moves this parameter."""
        return id(parameter) in self.learnt

    def learn(self, parameter, value, gradient):
        """A parameter's gradient is known from here on."""
        self.gradients.append((parameter, value, gradient))

    def emit(self, kernel, *, cols=None, cuts=None, flops=0, multiple=1, scratch=None, **given):
        """Add a stage; returns its Arguments.

        ``given``: all that the kernel's card names; a number may be a Live. ``cols``: how many columns there are to
        cut, those of the first output unless given. ``cuts``: which of the card's, all unless given. ``multiple``: a
        tile of rows holds a multiple of so many. ``flops``: for the whole batch. ``scratch``: bytes that a tile needs,
        or a function of its width.
        """
        if given.keys() != kernel.names:
            raise TypeError(_difference(kernel, given))
        operands = {name: given.pop(name) for name in kernel.operands}
        if set(map(type, operands.values())) != {Matrix}:
            _check_operands(kernel, operands)
        if cols is None:
            first = operands[kernel.outs[0]]
            cols = first.cols if first.rows is None else first.rows
        stage = Stage(kernel, operands, given, cols, cuts or kernel.cuts, flops, multiple, scratch)
        self.stages.append(stage)
        return stage.arguments


def _check_operands(kernel, operands):
    """None is for those that a stage does not have."""
    for name, matrix in operands.items():
        if not isinstance(matrix, Matrix) and not (matrix is None and name in kernel.optional):
            raise TypeError(f"{name} of {kernel.name} must be a matrix of the plan, not {shown(matrix)}")


def _difference(kernel, given):
    """What is wrong with the names."""
    missing = [name for name in (*kernel.operands, *kernel.numbers) if name in kernel.names and name not in given]
    unknown = [name for name in given if name not in kernel.names]
    wanted = ", ".join(name for name in (*kernel.operands, *kernel.numbers) if name in kernel.names)
    faults = [f"without {', '.join(missing)}"] * bool(missing) + [f"with {', '.join(unknown)}"] * bool(unknown)
    return f"{kernel.name} must be given {wanted}, not called {' and '.join(faults)}"


def check_array(array, name, shape, dtype):
    """Refuse what a program cannot have as an array of this shape and type, in place: by NumPy's own struct, as a
    subclass may say anything."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, not {type(array).__name__}")
    _, _, its_shape, its_dtype, in_one_piece, _ = facts(array)
    if its_dtype != dtype:
        raise TypeError(f"{name} must be {dtype} as the model's parameters are, not {its_dtype}")
    if its_shape != tuple(shape):
        raise ValueError(f"{name} must have the shape {tuple(shape)}, not {its_shape}")
    if not in_one_piece:
        raise ValueError(f"compile_step needs {name} C-contiguous and aligned, not of strides {array.strides}")
