"""The one exception that the command line turns into a line of text."""


class CommandError(Exception):
    """What went wrong, in one line for the user; ``code`` is the exit code.

    Code 2 is for input that cannot be used (options, files), code 1 for work that failed on good input.
    """

    def __init__(self, message, code=2):
        super().__init__(message)
        self.code = code


def one_line(text):
    r"""``text`` with every unprintable character escaped, so that it is one harmless line.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
