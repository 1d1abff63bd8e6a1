"""``fastml verify``: whether this machine computes the bits that are promised."""


def add_parser(subparsers):
    """Add the ``verify`` command to ``subparsers``."""
    parser = subparsers.add_parser(
        "verify",
        help="compare the bits of every function and of training runs with those promised",
        description="Compute every function in both precisions and 200 steps of training, with 1, 2, 3, 7 and 16 "
        "threads and on every target that this CPU runs, and compare the SHA-256 of each result with the table that "
        "ships.",
        allow_abbrev=False,
    )
    parser.add_argument("--threads", metavar="N", type=int, nargs="+", help="teams to try (default: 1 2 3 7 16)")
    parser.add_argument("--this-target", action="store_true", help="leave the CPU's other targets alone")
    parser.set_defaults(func=_verify)


def _verify(arguments):
    import os
    import subprocess
    import sys

    from fastml import _simd, verify
    from fastml.cli.errors import CommandError

    threads = arguments.threads or verify.THREADS
    if min(threads) < 1 or max(threads) > 1024:
        raise CommandError(f"--threads must be between 1 and 1024, not {' '.join(map(str, threads))}")
    wrong = 0
    for n in threads:
        names = verify.differences(n)
        wrong += len(names)
        verdict = (
            "as promised"
            if not names
            else f"{len(names)} differ: {', '.join(names[:5])}{' …' if len(names) > 5 else ''}"
        )
        print(f"{_simd.target:<9} {n:>2} threads  {len(verify.expected())} results {verdict}", flush=True)
    if not arguments.this_target:
        for target in _simd.available_targets():
            if target != _simd.target:
                command = [sys.executable, "-m", "fastml", "verify", "--this-target", "--threads", *map(str, threads)]
                wrong += subprocess.run(command, env={**os.environ, "FASTML_ISA": target}, check=False).returncode
    return 1 if wrong else 0
