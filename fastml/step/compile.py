"""From a model, a loss and an optimizer to a program: the plan is written, cut into tiles and bound to memory."""

import math
from dataclasses import dataclass

from .._kernels.step.caller import MOST_AXES
from .._kernels.step.program import Program
from .plan import GIVEN, Plan
from .schedule import Schedule


@dataclass(slots=True)
class Parts:
    """What a step is made of; ``parameters``: the model's, ``shared``: those of them that stand in several places,
    ``strangers``: the optimizer's that are not among them."""

    model: object
    loss_fn: object
    optimizer: object
    ema: object
    max_norm: float | None
    clip_value: float | None
    parameters: list
    shared: set
    strangers: list
    dtype: object


def write(parts, rows, sample):
    """The plan for batches of up to ``rows`` samples, and what makes the loss's part of a program."""
    if 1 + len(sample) > MOST_AXES:
        raise ValueError(f"x must have at most {MOST_AXES} axes, not {1 + len(sample)}")
    plan = Plan(rows, parts.dtype, parts.max_norm, parts.clip_value, parts.shared)
    x = plan.matrix("x", math.prod(sample), array=GIVEN, shape=sample)
    plan.update_with(*[part.lower(plan) for part in (parts.optimizer, parts.ema) if part is not None])
    if not any(map(plan.learns, parts.parameters)):
        raise ValueError("the optimizer holds none of the model's parameters")
    if parts.ema is not None and not any(map(parts.ema.holds, parts.parameters)):
        raise ValueError("ema holds none of the model's parameters")
    if parts.strangers:
        plan.prepare.append(lambda rows: _refuse_gradients(parts.strangers))
    y, backward = parts.model.lower(plan, x, "")
    if len(y.shape) > 1:
        shape = f"(n, {str(y.shape)[1:]}"
        raise ValueError(f"compile_step needs a model that gives (n, features), not {shape}: end it in nn.Flatten()")
    dy, bind = parts.loss_fn.lower(plan, y)
    backward(dy, False)
    plan.finish(parts.parameters)
    plan.close()
    return plan, bind


def build(plan, bind):
    """The schedule of a plan, its program, and the object that binds a call's target and reads the loss."""
    schedule = Schedule(plan)
    program = Program(*schedule.lists())
    for matrix in plan.matrices:
        if matrix.array is not None and matrix.array is not GIVEN:
            program.bind(matrix.index, matrix.array)
    return schedule, program, bind(program)


def _refuse_gradients(strangers):
    """Explicit steps would use these gradients, which no backward of the model has made."""
    for parameter in strangers:
        if parameter.grad is not None:
            raise ValueError(
                f"{parameter!r} of the optimizer has a gradient but is not in the model: set its grad to None"
            )
