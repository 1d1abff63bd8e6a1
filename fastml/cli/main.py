"""The ``fastml`` command: one parser, a module for each subcommand, and the exit codes.

0: done; 1: the work failed; 2: input that cannot be used; 130: interrupted; 141: our output's reader left.
A subcommand's module has ``add_parser(subparsers)``, which sets ``func``: a function of the parsed
arguments that returns the exit code. Whatever is heavy is imported by the functions that need it.
"""

import argparse
import sys

from fastml._check import choice, hint
from fastml.cli import bench, info, streams, train, verify
from fastml.cli.errors import CommandError, one_line


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors, also those of writing its help, are one line that says what may be meant."""

    def error(self, message):
        raise CommandError(f"{message} (see {self.prog} --help)")

    def parse_known_args(self, args=None, namespace=None):
        """The arguments, and nothing unknown: each command refuses its own, not the whole all of them."""
        namespace, unknown = super().parse_known_args(args, namespace)
        for word in sorted(unknown, key=lambda word: not word.startswith("-")):
            name = word.partition("=")[0]
            options = [option for action in self._actions for option in action.option_strings]
            if name.startswith("-"):
                self.error(f"{self.prog} has no option {name}{hint(name, options)}")
            self.error(f"{self.prog} takes no argument {word!r}")
        return namespace, unknown

    def _check_value(self, action, value):
        """argparse's own says it in the words of its version."""
        if action.choices is not None:
            try:
                choice(value, action.metavar, tuple(action.choices))
            except ValueError as error:
                self.error(str(error))

    def _print_message(self, message, file=None):
        (file or sys.stderr).write(message)  # argparse itself passes over a full disk


class _Version(argparse.Action):
    """``--version``, reading the version only when it is asked for."""

    def __init__(self, option_strings, dest, help=None):
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(self, parser, namespace, values, option_string=None):
        import fastml

        print(f"fastml {fastml.__version__}")
        parser.exit()


def build_parser():
    """The parser of the whole command."""
    parser = _Parser(
        prog="fastml",
        description="Train and measure neural networks on the CPU.",
        epilog="'fastml COMMAND --help' describes a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, help="show the version and exit")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for module in (train, bench, verify, info):
        module.add_parser(subparsers)
    return parser


def _fail(message):
    print(f"fastml: error: {one_line(str(message))}", file=sys.stderr)


def _run(argv):
    parser = build_parser()
    try:
        arguments = parser.parse_args(argv)
        if not hasattr(arguments, "func"):
            parser.print_help(sys.stderr)
            return 2
        return arguments.func(arguments) or 0
    except SystemExit as stop:  # --help and --version
        return stop.code or 0


def main(argv=None):
    """Run the command with the arguments ``argv`` (default: those of the process); returns the exit code."""
    with streams.prepared():
        try:
            code = _run(argv)
            sys.stdout.flush()  # here, where it still matters whether it succeeds
            return code
        except CommandError as error:
            _fail(error)
            return error.code
        except MemoryError:
            _fail("not enough memory")
            return 1
        except KeyboardInterrupt:
            print("\nfastml: interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:
            streams.discard(1)
            return 141
        except OSError as error:  # without a file's name it is standard output
            _fail(f"{error.filename or 'standard output'}: {error.strerror or error}")
            streams.discard(1)
            return 1
