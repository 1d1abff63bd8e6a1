"""How many instructions small calls take inside fastml, counted by valgrind: times wander, counts do not.

    python -m tests.instructions            # counts anew and writes tests/instructions.json
    python -m tests.instructions --show     # counts anew and prints the difference

One process of callgrind runs all cases. `ctermid`, a function of libc that nobody else calls, marks where a case begins
and ends: callgrind writes what it has counted before every call of it. Of that, only what was executed in fastml's own
shared objects is added up, not CPython's, NumPy's or libc's part. valgrind shows every program the same processor,
without AVX-512, so the target is v3; of caches the environment tells. Another compiler, Cython or Python makes other
code: the stored counts name theirs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
STORED = Path(__file__).with_name("instructions.json")
REPEAT = 3  # calls that are counted together, after as many that warm up
MOST = 1.03  # times the stored count
ENVIRONMENT = {
    "FASTML_ISA": "v3",
    "FASTML_CACHE_BYTES": str(32 << 20),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
}


def built_by():
    """What the counts depend on."""
    from fastml import _simd

    try:
        cython = metadata.version("cython")
    except metadata.PackageNotFoundError:
        cython = "unknown"
    return {
        "compiler": _simd.compiler,
        "machine": platform.machine(),
        "python": sysconfig.get_python_version(),
        "flags": sysconfig.get_config_var("OPT"),
        "cython": cython,
    }


def aligned(shape, dtype=np.float32, seed=0):
    """Normal numbers that begin on a cache line: how a run begins depends on its address."""
    size = int(np.prod(shape))
    memory = np.empty(size * np.dtype(dtype).itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    x = memory[start : start + size * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
    x[...] = np.random.default_rng(seed).standard_normal(shape)
    return x


def network(*widths, batch):
    """A network with ReLU between its layers, its optimizer and a batch."""
    from fastml import nn, optim

    layers = []
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        layers += [nn.ReLU(), nn.Linear(inputs, outputs, seed=i)]
    model = nn.Sequential(*layers[1:])
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return model, optimizer, aligned((batch, widths[0])), np.arange(batch) % widths[-1]


def compiled(*widths, batch):
    from fastml import nn

    model, optimizer, x, y = network(*widths, batch=batch)
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optimizer)
    return lambda: step(x, y)


def explicit(*widths, batch):
    from fastml import nn

    model, optimizer, x, y = network(*widths, batch=batch)
    loss = nn.CrossEntropyLoss()

    def call():
        _, gradient = loss(model(x), y)
        model.backward(gradient, input_grad=False)
        optimizer.step()

    return call


def cases():
    """{name: a call}. All is small: a kernel's first and last vectors and the way into it count as much as its loop."""
    import fastml as f
    from fastml import metrics

    short, labels, shorter = aligned((32, 10)), np.arange(32) % 10, aligned((32, 10))
    rows, drows, out = aligned((16, 512)), aligned((16, 512), seed=1), aligned((16, 512))
    many = np.arange(16) * 31
    image, image_out = aligned((4, 16, 8, 8)), aligned((4, 16, 8, 8))
    run, drun, run_out = aligned((4000,)), aligned((4000,), seed=1), aligned((4000,))
    x, weight, bias, y = aligned((32, 64)), aligned((48, 64), seed=1), aligned((48,)), aligned((32, 48))
    p, q = f.softmax(rows), f.softmax(drows)
    moments = [aligned((1000,), seed=k) for k in range(2)]
    square = np.abs(aligned((1000,), seed=2))
    _, mean, inv_std = f.batch_norm(rows)
    _, layer_mean, layer_inv_std = f.layer_norm(rows)

    return {
        "softmax 32×10": lambda: f.softmax(short, out=shorter),
        "softmax 16×512": lambda: f.softmax(rows, out=out),
        "softmax 10×32 axis 0": lambda: f.softmax(short, 0, out=shorter),
        "softmax_backward 16×512": lambda: f.softmax_backward(drows, p, out=out),
        "log_softmax 32×10": lambda: f.log_softmax(short, out=shorter),
        "logsumexp 16×512": lambda: f.logsumexp(rows),
        "cross_entropy 32×10": lambda: f.cross_entropy(short, labels),
        "cross_entropy_with_grad 32×10": lambda: f.cross_entropy_with_grad(short, labels, out=shorter),
        "cross_entropy_with_grad 16×512": lambda: f.cross_entropy_with_grad(rows, many, out=out),
        "layer_norm 32×10": lambda: f.layer_norm(short, out=shorter),
        "layer_norm 16×512": lambda: f.layer_norm(rows, out=out),
        "layer_norm_backward 16×512": lambda: f.layer_norm_backward(
            drows, rows, None, layer_mean, layer_inv_std, out=out
        ),
        "rms_norm 16×512": lambda: f.rms_norm(rows, out=out),
        "batch_norm 16×512": lambda: f.batch_norm(rows, out=out),
        "batch_norm_backward 16×512": lambda: f.batch_norm_backward(drows, rows, None, mean, inv_std, out=out),
        "group_norm 4×16×8×8": lambda: f.group_norm(image, 4, out=image_out),
        "relu 4000": lambda: f.relu(run, out=run_out),
        "gelu 4000": lambda: f.gelu(run, out=run_out),
        "tanh_backward 4000": lambda: f.tanh_backward(drun, run, out=run_out),
        "dropout 4000": lambda: f.dropout(run, 0.5, seed=0, out=run_out),
        "dropout_backward 4000": lambda: f.dropout_backward(drun, 0.5, seed=0, out=run_out),
        "linear 32×64 48": lambda: f.linear(x, weight, bias, out=y),
        "linear 1×64 48": lambda: f.linear(x[:1], weight, bias, out=y[:1]),
        "linear_backward 32×64 48": lambda: f.linear_backward(y, x, weight),
        "mse_loss_with_grad 4000": lambda: f.mse_loss_with_grad(run, drun, out=run_out),
        "kl_divergence 16×512": lambda: metrics.kl_divergence(p, q),
        "confusion_matrix 32": lambda: metrics.confusion_matrix(labels, labels[::-1]),
        "sgd_step 1000": lambda: f.sgd_step([moments[0]], [moments[1]], lr=1e-9),
        "adam_step 1000": lambda: f.adam_step([moments[0]], [moments[1]], [moments[1]], [square], 1, lr=1e-9),
        "step 4-16-16-3": compiled(4, 16, 16, 3, batch=32),
        "step_explicit 4-16-16-3": explicit(4, 16, 16, 3, batch=32),
    }


def run_cases():
    """In the process that is counted: every case between two marks."""
    for call in cases().values():
        for _ in range(REPEAT):
            call()
        os.ctermid()
        for _ in range(REPEAT):
            call()
        os.ctermid()


def executed(text, folder):
    """Instructions executed in shared objects below this folder, of one part of callgrind's output."""
    names, total, inside, callee = {}, 0, False, False
    for line in text.splitlines():
        if line.startswith(("ob=", "cob=")):
            number, _, name = line.partition("=")[2].partition(" ")
            if name:  # only where the number is met first
                names[number] = name
            if line.startswith("ob="):
                inside = names[number].startswith(folder)
        elif line.startswith("calls="):
            callee = True  # whose cost is the next line
        elif line[:1] in set("0123456789+-*"):
            total += 0 if callee or not inside else int(line.split()[1])
            callee = False
    return total


def count():
    """{name: instructions of one call}, in a process under valgrind."""
    import fastml

    ours = str(Path(fastml.__file__).resolve().parent) + os.sep
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", "--dump-before=ctermid"]
            + [sys.executable, "-c", "from tests.instructions import run_cases; run_cases()"],
            check=False, cwd=ROOT, env=os.environ | ENVIRONMENT, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr)
        parts = sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        # One part ends at each mark: in turns what came before a case, and the case.
        found = [executed(path.read_text(encoding="utf-8", errors="replace"), ours) for path in parts]
    return dict(zip(cases(), (total // REPEAT for total in found[1::2]), strict=True))


def grown(stored, counted):
    """A line for each case that takes more than MOST times the instructions that are stored, or has none stored."""
    lines = []
    for name, now in counted.items():
        before = stored.get(name, 0)
        if now > MOST * before:
            lines.append(
                f"{name}: {now} instructions, " + (f"{now / before - 1:+.1%} over {before}" if before else "new")
            )
    return lines


def main(arguments=None):
    parser = argparse.ArgumentParser("python -m tests.instructions", description=__doc__.split("\n")[0])
    parser.add_argument("--show", action="store_true", help="print what has changed, and write nothing")
    show = parser.parse_args(arguments).show
    stored = json.loads(STORED.read_text(encoding="utf-8"))["counts"] if STORED.exists() else {}
    counted = count()
    for name, now in counted.items():
        before = stored.get(name)
        print(f"{name:<32} {now:>8}" + (f"  {now / before - 1:+7.1%}" if before and before != now else ""))
    if not show:
        text = json.dumps({"built_by": built_by(), "counts": counted}, indent=1, ensure_ascii=False)
        STORED.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
