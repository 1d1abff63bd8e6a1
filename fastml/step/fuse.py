"""Stages that can be done by fewer: a pass over a plan in which every layer has said what it computes.

A rectifier behind a product is the product's own epilogue. A dropout behind a rectifier writes over what that wrote:
what either of them made zero has no gradient, so the backward pass looks at the result, and no bits are kept. A
weight's gradient of which nobody but SGD wants to know goes to the weight as it is made.
All give the bits of the stages that they stand for.
"""

from .._kernels.step.elementwise import dropout, relu, relu_backward
from .._kernels.step.linear import linear_dweight, linear_sgd
from .._kernels.step.update import sgd
from .stage import Stage

APART_BYTES = 1 << 15  # gradients up to this size stay in the first cache until the update comes


def fuse(stages):
    """The stages, in their order, without those that others do as well."""
    return update_at_once(rectify_products(share_masks(stages)))


def users(stages):
    """For each matrix the stages that touch it, in order."""
    found = {}
    for stage in stages:
        for matrix in stage.touched:
            found.setdefault(matrix, []).append(stage)
    return found


def rectify_products(stages):
    """y = product(...), y = max(0, y): one stage, where the card of the product's kernel has a rectifier."""
    made_by, kept = {}, []
    for stage in stages:
        if stage.kernel is relu and stage.operands["x"] is stage.operands["y"]:
            y = stage.operands["y"]
            before = made_by.get(y)
            rectifier = before and before.kernel.rectifier
            if rectifier and before.operands[before.kernel.outs[0]] is y:
                before.set(**{rectifier: 1})
                continue
        for matrix, written in stage.touched.items():
            made_by[matrix] = stage if written else None  # one that has been read meanwhile must stay as it is
        kept.append(stage)
    return kept


def share_masks(stages):
    """y = max(0, x), z = dropout(y), …, dz = dropout_backward(dz), dz = dz where y > 0: z lies where y does, and the
    last two are dz = scale dz where z > 0. Bits that nobody reads are not kept."""
    drops = {stage.operands["kept"]: stage for stage in stages if stage.kernel is dropout}
    if not drops:
        return stages
    touching = users(stages)
    done = {}
    for kept, drop in drops.items():
        if kept is None:
            continue
        if touching[kept] == [drop]:
            drop.replace(kept, None)
            continue
        back = touching[kept][-1]
        gate = _gate_behind(drop, back, touching)
        if gate is not None:
            y, z, dz = drop.operands["x"], drop.operands["y"], back.operands["dx"]
            for stage in touching[z]:
                stage.replace(z, y)
            drop.replace(kept, None)
            numbers = {"scale": drop.numbers["scale"]}
            done[back] = Stage(relu_backward, {"dx": dz, "dy": dz, "y": y}, numbers, back.cols, back.cuts)
            done[gate] = None
    return [new for stage in stages if (new := done.get(stage, stage)) is not None]


def _gate_behind(drop, back, touching):
    """The rectifier's backward stage, where the dropout's input, result and gradient have no other use than these."""
    y, z, dz = drop.operands["x"], drop.operands["y"], back.operands["dx"]
    if z is y or back.operands["dy"] is not dz or any(stage.touched[z] for stage in touching[z] if stage is not drop):
        return None
    *_, before, middle, gate = [None, None, *touching[y]]
    follows = [b for a, b in zip(touching[dz], touching[dz][1:], strict=False) if a is back]
    ends = before is not None and before.kernel is relu and before.operands["y"] is y and middle is drop
    gates = gate.kernel is relu_backward and gate.operands["dx"] is dz and gate.operands["dy"] is dz
    return gate if ends and gates and follows[:1] == [gate] and gate.numbers["scale"] == 1 else None


def update_at_once(stages):
    """dw = dyᵀ x, …, sgd(w, dw): one stage in the place of the second, where nobody else touches dw."""
    touching = users(stages) if any(stage.kernel is sgd for stage in stages) else {}
    done = {}
    for product in [stage for stage in stages if stage.kernel is linear_dweight]:
        dweight, dy, x = (product.operands[name] for name in ("dweight", "dy", "x"))
        using = touching.get(dweight, ())
        if (
            len(using) != 2
            or using[1].kernel is not sgd
            or dweight.rows * dweight.cols * dweight.itemsize <= APART_BYTES
        ):
            continue
        update = using[1]
        since = stages[stages.index(product) : stages.index(update)]
        if any(stage.touched.get(m) for stage in since for m in (dy, x)):
            continue  # one of them is written over meanwhile
        own = {name: update.operands[name] for name in ("parameter", "velocity")}
        done[product] = None
        done[update] = Stage(
            linear_sgd, {**own, "dy": dy, "x": x}, update.numbers, update.cols, linear_sgd.cuts, product.flops
        )
    return [new for stage in stages if (new := done.get(stage, stage)) is not None]
