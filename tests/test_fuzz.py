"""Every reader of files on damaged ones: a value, or one error that names the file; never anything else.

The files of tests/fuzz/corpus are damaged by a seeded generator, a few seconds' worth here and a hundred times as many
with FASTML_NIGHTLY=1. A file that has found a fault goes into the corpus: each is also read as it is.
"""

import warnings

import numpy as np
import pytest

from fastml import data, nn
from fastml.cli.errors import CommandError, one_line
from fastml.cli.table import read_table

from .fuzz.make_corpus import FOLDER, trained
from .fuzz.mutations import damaged, damaged_checkpoint, damaged_gzip, damaged_zip
from .processes import NIGHTLY

ROUNDS = 100_000 if NIGHTLY else 1000


def read_checkpoint():
    """A reader into one and the same training, which a file that is refused leaves as it was."""
    parts = trained()
    nn.load_checkpoint(FOLDER / "training.checkpoint", **parts)  # whose bits are those of the day it was written
    arrays = {**parts["model"].state_dict(), **{str(i): a for i, a in enumerate(parts["ema"].state_dict()["averages"])}}

    def read(path):
        try:
            nn.load_checkpoint(path, **parts)
        except ValueError:
            assert parts["optimizer"].state_dict()["state"][0]["momentum_buffer"].shape == (3, 2)
            now = {**parts["model"].state_dict(), **dict(enumerate(parts["ema"].state_dict()["averages"]))}
            np.testing.assert_equal(list(now.values()), list(arrays.values()))
            raise
        nn.load_checkpoint(FOLDER / "training.checkpoint", **parts)

    return read


# The files that a reader reads, the reader, how they are damaged, and how many rounds of damage take a second or two.
READERS = {
    "IDX": ("*.idx*", lambda: data.read_idx, damaged_gzip, 2),
    "CSV": ("*.csv", lambda: lambda path: read_table(path, "-1"), damaged, 1),
    "TSV": ("*.tsv", lambda: lambda path: read_table(path, "y", header=True), damaged, 1),
    "NPZ": ("*.npz", lambda: read_table, damaged_zip, 1),
    "safetensors": ("*.safetensors", lambda: lambda path: (nn.load(path), nn.load_metadata(path)), damaged, 2),
    "checkpoint": ("*.checkpoint", read_checkpoint, damaged_checkpoint, 0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_damaged_files(tmp_path, name):
    pattern, reader, damage, share = READERS[name]
    files = sorted(FOLDER.glob(pattern))
    corpus, rng, read = [file.read_bytes() for file in files], np.random.default_rng(0), reader()
    outcomes = {True: 0, False: 0}
    for i in range(int(ROUNDS * share)):
        file = files[i % len(files)]
        path = tmp_path / file.name
        path.write_bytes(damage(corpus[i % len(files)], corpus, rng))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                read(path)
            outcomes[True] += 1
        except (ValueError, OSError, CommandError) as error:
            assert str(path) in str(error), repr(error)
            assert len(one_line(str(error))) < 10_000
            outcomes[False] += 1
        except BaseException:
            kept = FOLDER / f"fault-{i}-{file.name}"
            kept.write_bytes(path.read_bytes())
            print(f"the file is {kept}")
            raise
    assert min(outcomes.values()) > 0.01 * sum(outcomes.values()), outcomes  # neither all harmless nor all hopeless


@pytest.mark.parametrize("name", READERS)
def test_the_corpus_itself(name):
    pattern, reader, *_ = READERS[name]
    read = reader()
    for path in FOLDER.glob(pattern):
        if path.name.startswith("fault-"):
            with pytest.raises((ValueError, OSError, CommandError), match=path.name):
                read(path)
        elif path.name != "model.checkpoint":
            read(path)
