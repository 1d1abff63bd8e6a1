"""`fastml bench`: how fast every operation is here, next to the libraries found on this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fastml._check import choice
from fastml._files import replacing
from fastml._interrupt import raise_again
from fastml.cli.errors import CommandError
from fastml.cli.options import integer


def add_parser(subparsers) -> None:
    """Register the subcommand and its options."""
    parser = subparsers.add_parser(
        "bench",
        help="time every operation against PyTorch, NumPy, SciPy, JAX and scikit-learn",
        description="Time operations against the peers that are installed, one process per peer, in "
        "interleaved rounds. Every result is checked against the reference first. Times are medians in µs. "
        "ratio: the best peer's time over fastml's, above 1 where fastml is faster. of limit: the time "
        "of as many multiply-adds at their peak rate and of copying or reading as many bytes, measured in the "
        "same rounds, over fastml's.",
    )
    parser.add_argument("ops", nargs="*", metavar="OP", help="an operation or a family, such as relu or softmax")
    parser.add_argument(
        "--against", metavar="PEERS", help="comma-separated: torch, numpy, scipy, jax, sklearn (default: all found)"
    )
    parser.add_argument("--threads", type=integer(1), metavar="N", help="threads for every library")
    parser.add_argument("--rounds", type=integer(1), default=50, metavar="N", help="rounds per row (default: 50)")
    parser.add_argument(
        "--save",
        type=Path,
        metavar="FOLDER",
        help="write a table there, as Markdown and JSON, called after the processor and the threads",
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """0 when every row was measured, 1 when a result was wrong or a peer failed, 130 when interrupted."""
    from fastml import get_num_threads

    try:
        from fastml.benchmarks import common, table
        from fastml.benchmarks.run import Run
    except ModuleNotFoundError as error:
        if error.name != "fastml.benchmarks":
            raise
        raise CommandError("bench needs fastml.benchmarks, which an installed fastml has: pip install .") from None

    try:
        cases = common.select(args.ops)
        against = _peers(args.against, common.PEERS)
        if args.save:
            args.save.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        raise CommandError(str(error)) from None

    rows = []
    code = 0
    raise_again()  # Ctrl-C: the rows so far are shown and saved
    try:
        with Run(cases, against, args.threads or get_num_threads(), args.rounds) as session:
            print(table.machine_line(session.machine))
            for line in table.warnings(session.machine):
                print(line)
            if session.missing:
                print(f"not installed, left out: {', '.join(session.missing)}")
            shown = table.Aligned([case for _, _, case in cases], session.peers)
            print(shown.header(), flush=True)
            for row in session.rows():
                rows.append(row)
                print(shown.line(row), flush=True)
                if note := table.disturbance(row):
                    print(f"warning: {note}", file=sys.stderr)
                for line in table.errors(row):
                    code = 1
                    print(line, file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    finally:  # also where standard output takes no more
        if rows and args.save:
            _save(args.save, session, rows)
    if rows:
        print(table.summary(rows))
    return code


def _save(folder: Path, session, rows) -> None:
    from fastml.benchmarks import table
    from fastml.benchmarks.run import to_json

    texts = {
        "json": to_json(session.machine, rows),
        "md": table.markdown(session.machine, rows, session.peers),
    }
    for kind, text in texts.items():
        with replacing(folder / f"{table.file_name(session.machine)}.{kind}") as file:
            file.write(text.encode("utf-8"))


def _peers(text: str | None, known: tuple[str, ...]) -> list[str]:
    if text is None:
        return list(known)
    peers = [name.strip() for name in text.split(",") if name.strip()]
    for name in peers:
        choice(name, "--against", known)
    return list(dict.fromkeys(peers))
