"""How a run is shown: a line for the machine, one line per case, one line that counts."""

from __future__ import annotations

import re
from math import exp, log

from .common import PEERS, Case
from .run import BUSY, Row

HEAD = ("op", "shape", "dtype")
TAIL = ("ratio", "to", "rate", "of limit")


def machine_line(machine: dict) -> str:
    versions = ", ".join(f"{peer} {version}" for peer, version in machine["versions"].items())
    return (
        f"{machine['cpu']}, target {machine['isa']}, {machine['threads']} thread(s); {machine['system']}; "
        f"Python {machine['python']}, {versions}; NumPy's BLAS: {machine['blas']}"
    )


def warnings(machine: dict) -> list[str]:
    """One line per setting that slows a peer, and per peer that did not start."""
    return [
        f"warning: {name}={value} is set: NumPy's BLAS does not run as it would by default"
        for name, value in machine["settings"].items()
    ] + [f"warning: {peer} left out: {error}" for peer, error in machine["failed"].items()]


def microseconds(seconds: float) -> str:
    """Three significant digits, and never an exponent: 0.95, 12.3, 4476."""
    value = seconds * 1e6
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rate(row: Row) -> str:
    seconds = row.seconds.get("fastml")
    if not seconds:
        return "–"
    if row.flops:
        return f"{row.flops / seconds * 1e-9:.0f} GFLOP/s"
    return f"{row.nbytes / seconds * 1e-9:.3g} GB/s"


def cells(row: Row, peers: list[str]) -> list[str]:
    """The row's texts in the order of `columns`."""
    times = [
        microseconds(row.seconds[peer]) if peer in row.seconds else "error" if peer in row.errors else "–"
        for peer in ("fastml", *peers)
    ]
    best, share = row.best(), row.limit_share()
    ratio = [f"{best[1]:.2f}", best[0]] if best else ["–", "–"]
    return [row.op, row.shape, row.dtype, *times, *ratio, rate(row), f"{share:.0%}" if share else "–"]


def columns(peers: list[str]) -> list[str]:
    return [*HEAD, "fastml µs", *(f"{peer} µs" for peer in peers), *TAIL]


class Aligned:
    """Prints rows as they come, at widths that the cases and the peers fix beforehand."""

    def __init__(self, cases: list[Case], peers: list[str]):
        self.peers = peers
        longest = [max((len(getattr(case, name)) for case in cases), default=0) for name in HEAD]
        least = [*longest, *(7 for _ in range(1 + len(peers))), 6, 7, 12, 8]
        self.widths = [max(w, len(name)) for w, name in zip(least, columns(peers), strict=True)]

    def header(self) -> str:
        return self._line(columns(self.peers))

    def line(self, row: Row) -> str:
        return self._line(cells(row, self.peers))

    def _line(self, texts: list[str]) -> str:
        left = {0, 1, 2, len(texts) - 3}
        return "  ".join(
            text.ljust(w) if i in left else text.rjust(w)
            for i, (text, w) in enumerate(zip(texts, self.widths, strict=True))
        ).rstrip()


def disturbance(row: Row) -> str:
    """A line about other programs that took more than a few per cent of the CPUs from this row, or nothing."""
    if row.others < BUSY:
        return ""
    return f"{row.op} {row.shape} {row.dtype}: other programs used {row.others:.0%} of the CPUs meanwhile"


def errors(row: Row) -> list[str]:
    return [f"{row.op} {row.shape} {row.dtype}: {peer}: {text}" for peer, text in row.errors.items()]


def geometric_mean(ratios: list[float]) -> float:
    return exp(sum(map(log, ratios)) / len(ratios))


def summary(rows: list[Row]) -> str:
    """How many rows fastml wins against the fastest peer of each, how many it loses, and by how much on average."""
    leads = [best[1] for row in rows if (best := row.best())]
    won = sum(lead > 1 for lead in leads)
    rest = len(rows) - len(leads)
    text = (
        f"{len(rows)} rows: fastml is faster than every peer in {won}, slower than the best peer in {len(leads) - won}"
    )
    if rest:
        text += f", without a peer in {rest}"
    means = {"the best peer": leads} | {peer: [r.ratios[peer] for r in rows if peer in r.ratios] for peer in PEERS}
    shown = [f"{geometric_mean(found):.2f} to {name} ({len(found)})" for name, found in means.items() if found]
    return text + (f"; geometric means of the ratio (rows): {', '.join(shown)}" if shown else "")


def slower(rows: list[Row]) -> list[Row]:
    """The rows that a peer wins, the worst first."""
    lost = [(best[1], i) for i, row in enumerate(rows) if (best := row.best()) and best[1] <= 1]
    return [rows[i] for _, i in sorted(lost)]


def file_name(machine: dict) -> str:
    """What a run is saved as, never mixed with another: 'amd-epyc-family-26-model-2-threads-1'."""
    cpu = re.sub(r"\((R|TM|tm)\)|\bCPU\b|@.*?GHz|, \d+ CPUs", " ", machine["cpu"])
    return re.sub(r"[^a-z0-9]+", "-", f"{cpu} threads {machine['threads']}".lower()).strip("-")


def markdown(machine: dict, rows: list[Row], peers: list[str]) -> str:
    """A file of benchmarks/results: the machine, what is won and lost, and the table."""
    names = columns(peers)
    rule = [":--" if name in HEAD or name == "to" else "--:" for name in names]

    def table(rows: list[Row]) -> str:
        lines = [names, rule, *(cells(row, peers) for row in rows)]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    parts = [machine_line(machine), f"{summary(rows)}.", table(rows)]
    if lost := slower(rows):
        parts[2:2] = ["## Slower than the best peer", table(lost), "## All rows"]
    return "\n\n".join(parts) + "\n"
