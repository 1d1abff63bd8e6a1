"""What this installation is and what it uses: show_config()."""

import os
import platform
import re
from contextlib import redirect_stdout
from io import StringIO

import numpy as np

from . import _simd, _threads


def _blas():
    """NumPy's BLAS as its build configuration names it; the kernel it runs where threadpoolctl can tell."""
    try:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        name = f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
    except (TypeError, KeyError):  # a NumPy before 1.26's dictionaries
        with redirect_stdout(StringIO()) as text:
            np.show_config()
        found = re.search(r"openblas|mkl|blis|accelerate", text.getvalue().lower())
        name = found.group(0) if found else "unknown"
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return name
    kernels = {p["architecture"] for p in threadpool_info() if p.get("architecture")}
    return f"{name}, kernel {'/'.join(sorted(kernels))}" if kernels else name


def _cpu():
    """The processor's name, with its numbers: virtual machines call several generations by one name."""
    told = {}
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                word, _, value = line.partition(":")
                told.setdefault(word.strip(), value.strip())
    except OSError:
        pass
    name = told.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in told and "model" in told:
        name += f" (family {told['cpu family']}, model {told['model']})"
    return name


def _distribution():
    """What this package was installed from; PyPI's fastML, another project, where that is there too."""
    from importlib import metadata

    found = {}
    for name in ("fastml-kernels", "fastml"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    ours, other = found.values()
    text = f"fastml-kernels {ours}" if ours else "none: a checkout"
    if other:
        text += f"; fastML {other}, another project, is here too: one folder with it where names differ by case alone"
    return text


def config():
    """The configuration as a dictionary of strings; show_config() prints it."""
    from . import __version__

    threads = _threads.get_num_threads()
    return {
        "fastml": __version__,
        "distribution": _distribution(),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "NumPy": np.__version__,
        "NumPy's BLAS": _blas(),
        "CPU": f"{_cpu()}, {os.cpu_count()} CPUs",
        "compiler": _simd.compiler,
        "targets built": ", ".join(_simd.built_targets()),
        "targets this CPU runs": ", ".join(_simd.available_targets()),
        "target in use": f"{_simd.target} ({_simd.reason})",
        "OpenMP runtime": _threads.runtime_name(),
        "threads": f"{threads} ({_threads.num_threads_reason()})",
    }


def show_config():
    """Print version, compiler, SIMD targets, threads and where their number came from, and NumPy's BLAS.

    >>> import fastml
    >>> fastml.show_config()  # doctest: +ELLIPSIS
    fastml ...
    """
    entries = config()
    width = max(map(len, entries)) + 2
    for name, value in entries.items():
        print(f"{name:<{width}}{value}")
