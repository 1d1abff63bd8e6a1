"""How far training is, on standard error."""

import os
import sys


class Progress:
    """A bar over all samples in a terminal or a notebook, about ten plain lines elsewhere, nothing when ``quiet``.

    ``epochs`` passes over ``samples`` rows each, of which ``done`` rows are done already; a context manager.
    """

    def __init__(self, epochs, samples, quiet, done=0):
        self._epochs = epochs
        quiet = quiet or sys.stderr is None
        notebook = _in_notebook()
        self._plain = not quiet and not notebook and not sys.stderr.isatty()
        self._bar = None
        if not quiet and not self._plain:
            from tqdm.auto import tqdm

            # 0 where nobody has set it
            columns = 1 if notebook else os.get_terminal_size(sys.stderr.fileno()).columns
            self._bar = tqdm(
                total=epochs * samples,
                initial=done,
                desc=f"epoch {min(done // samples + 1, epochs)}/{epochs}",
                bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
                ncols=None if columns else 80,
                nrows=None if columns else 24,
                dynamic_ncols=columns > 0,
            )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._bar is not None:
            self._bar.close()

    def advance(self, samples):
        """``samples`` more rows are done."""
        if self._bar is not None:
            self._bar.update(samples)

    def end_epoch(self, epoch, *figures, last=False):
        """Show the ``figures`` (texts) of ``epoch``, counted from 0; ``last``: training ends here."""
        if self._bar is not None:
            following = min(epoch + 2, self._epochs)
            self._bar.set_description_str(f"epoch {following}/{self._epochs}", refresh=False)
            self._bar.set_postfix_str(", ".join(figures), refresh=False)
        elif self._plain and (last or epoch + 1 == self._epochs or (epoch + 1) % max(1, self._epochs // 10) == 0):
            count = f"epoch {epoch + 1:>{len(str(self._epochs))}}/{self._epochs}"
            print("  ".join([count, *figures]), file=sys.stderr, flush=True)


def _in_notebook():
    """Whether this is a kernel of Jupyter, where standard error is shown as a page shows it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return "IPKernelApp" in getattr(shell, "config", ())
