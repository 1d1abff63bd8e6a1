"""``fastml info``: how this installation was built and what it uses."""


def add_parser(subparsers):
    """Add the ``info`` command to ``subparsers``."""
    parser = subparsers.add_parser(
        "info",
        help="show how fastml was built and what it uses here",
        description="Show version, compiler, instruction sets, OpenMP runtime, threads and NumPy's BLAS.",
        allow_abbrev=False,
    )
    parser.set_defaults(func=_info)


def _info(arguments):
    import fastml

    fastml.show_config()
    return 0
