"""Reading the user's table: what is accepted, and that every fault names file, row and column."""

import os

import numpy as np
import pytest

from fastml.cli.errors import CommandError
from fastml.cli.table import read_table

ROWS = [f"{i},{i * 0.5},{'cat' if i % 2 else 'dog'}" for i in range(12)]


def write(folder, lines, name="t.csv"):
    path = folder / name
    path.write_text("\n".join(["a,b,kind", *lines]) + "\n", encoding="utf-8")
    return path


def refused(path, *words, label="kind", header=None):
    with pytest.raises(CommandError) as caught:
        read_table(path, label, header)
    message = str(caught.value)
    assert caught.value.code == 2
    assert "\n" not in message
    for word in (os.fspath(path), *words):
        assert word in message, message


def test_text_labels(tmp_path):
    table = read_table(write(tmp_path, ROWS), "kind")
    assert table.classes == ["cat", "dog"]
    assert table.y.tolist() == [1, 0] * 6
    assert table.columns == ["a", "b"]
    assert not table.one_unit
    np.testing.assert_array_equal(table.X, [[i, i * 0.5] for i in range(12)])


@pytest.mark.parametrize("label", ["2", "-1", "kind"])
def test_label_by_name_or_index(tmp_path, label):
    assert read_table(write(tmp_path, ROWS), label).columns == ["a", "b"]


def test_label_in_the_first_column(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("y,a\n" + "\n".join(f"{10 * (i % 3)},{i}" for i in range(12)))
    table = read_table(path, "y")
    assert table.classes == [0, 10, 20]
    assert table.y.tolist() == [0, 1, 2] * 4
    assert table.X[:, 0].tolist() == list(range(12))


def test_integers_are_sorted_as_integers(tmp_path):
    table = read_table(write(tmp_path, [f"{i},1,{(2, 10, -3)[i % 3]}" for i in range(12)]), "kind")
    assert table.classes == [-3, 2, 10]
    assert table.y[:3].tolist() == [1, 2, 0]


def test_digits_beyond_int64_stay_text(tmp_path):
    names = ["9" * 5000, "1"]
    table = read_table(write(tmp_path, [f"{i},1,{names[i % 2]}" for i in range(12)]), "kind")
    assert table.classes == sorted(names)


def test_one_mixed_label_makes_text(tmp_path):
    table = read_table(write(tmp_path, [f"{i},1,{(2, 10, 'x')[i % 3]}" for i in range(12)]), "kind")
    assert table.classes == ["10", "2", "x"]


def test_spaces_blank_lines_quotes_byte_order_mark_and_crlf(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f' {i} ,"{i}e-1",' + ('"new, york"' if i % 2 else " x") for i in range(12)]
    lines = ['"a", b ,kind', "", *rows, " ", ""]
    path.write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    table = read_table(path, "kind")
    assert table.columns == ["a", "b"]
    assert table.classes == ["new, york", "x"]
    np.testing.assert_allclose(table.X[3], [3, 0.3])


def test_tab_separated(tmp_path):
    path = write(tmp_path, ROWS, "t.TSV")
    path.write_text(path.read_text().replace(",", "\t"))
    assert read_table(path, "kind").X.shape == (12, 2)


def test_header_is_recognised(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(ROWS))
    assert read_table(path, "-1").X.shape == (12, 2)
    assert read_table(path, "2").columns == ["0", "1"]
    assert read_table(path, "2", header=True).X.shape == (11, 2)
    path.write_text("\n".join(["0,1,2", *ROWS]))  # as pandas writes unnamed columns
    assert read_table(path, "2").X.shape == (12, 2)
    path.write_text("\n".join(["0,1,kind", *ROWS]))
    assert read_table(path, "kind").X.shape == (12, 2)
    assert read_table(write(tmp_path, ROWS), "2").X.shape == (12, 2)


def test_unknown_label(tmp_path):
    path = write(tmp_path, ROWS)
    refused(path, "'species'", "'a', 'b', 'kind'", label="species")
    refused(path, "'3'", label="3")
    refused(path, "'-4'", label="-4")
    refused(path, "--label", "'a', 'b', 'kind'", label=None)
    refused(path, "'kind'", label="kind", header=False)
    path.write_text(path.read_text().replace("a,b", "kind,b"))
    refused(path, "2 columns", "'kind'")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1,x2,dog", ["row 6", "'b'", "'x2' is not a number"]),
        ("1,1_0,dog", ["row 6", "'b'", "'1_0' is not a number"]),
        (",1,dog", ["row 6", "'a'", "empty"]),
        ("1,  ,dog", ["row 6", "'b'", "empty"]),
        ("1,nan,dog", ["row 6", "'b'", "'nan' is not a finite number"]),
        ("-inf,1,dog", ["row 6", "'a'", "'-inf' is not a finite number"]),
        ("1,1e999,dog", ["row 6", "'b'", "not a finite number"]),
        ("1,2,", ["row 6", "'kind'", "label is missing"]),
        ("1,2,NaN", ["row 6", "'kind'", "label is missing"]),
        ("1,2", ["row 6", "2 cells instead of 3"]),
        ("1,2,dog,", ["row 6", "4 cells instead of 3"]),
        ('1,"2"3,dog', ["row 6", "expected"]),
        ('1,"2,dog', ["row 6", "unexpected end"]),
    ],
)
def test_faults_name_row_and_column(tmp_path, row, words):
    refused(write(tmp_path, [*ROWS[:4], row, *([] if row == '1,"2,dog' else ROWS[4:])]), *words)


def test_sums_beyond_the_largest_double_are_no_fault(tmp_path):
    table = read_table(write(tmp_path, [*ROWS, "1.7e308,1.7e308,dog"]), "kind")
    assert table.X[-1].tolist() == [1.7e308, 1.7e308]


def test_rows_are_counted_as_a_spreadsheet_does(tmp_path):
    refused(write(tmp_path, ["", '1,2,"do\ng"', "", "1,?,dog"]), "row 5", "'b'")


def test_fault_without_header(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\n".join([*ROWS, "1,?,dog"]))
    refused(path, "row 13", "column 1", label="-1")


def test_size_of_the_table(tmp_path):
    refused(write(tmp_path, []), "no rows")
    refused(write(tmp_path, ROWS[:9]), "9 rows")
    refused(write(tmp_path, [f"{i},1,dog" for i in range(12)]), "every label is 'dog'", "'kind'")
    refused(write(tmp_path, [f"{i},1,{i}" for i in range(12)]), "12 different labels in 12 rows", "'kind'")
    path = tmp_path / "one.csv"
    path.write_text("kind\n" + "dog\ncat\n" * 6)
    refused(path, "single column")


@pytest.mark.parametrize("name", ["empty.csv", "empty.tsv", "empty.npz"])
def test_empty_file(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"")
    refused(path, "empty" if name != "empty.npz" else "not a usable")


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_no_file(tmp_path, suffix):
    refused(tmp_path / f"none{suffix}", "no such file")
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    refused(folder, "directory")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_unreadable_file(tmp_path, suffix, monkeypatch):
    path = write(tmp_path, ROWS, "t" + suffix)

    def refuse(*args, **kwargs):  # chmod would not stop root
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    refused(path, "Permission denied")


def test_text_that_is_not_text(tmp_path):
    path = write(tmp_path, ROWS)
    path.write_bytes(path.read_bytes() + b"1,2,\xff\n")
    refused(path, "UTF-8")
    path.write_text("a,b,kind\n1,2," + "x" * 200_000)
    refused(path, "row 2", "field larger")


def npz(folder, name="t.npz", **arrays):
    np.savez(folder / name, **arrays)
    return folder / name


X = np.arange(24, dtype=np.float32).reshape(12, 2)
Y = np.array([1, 5] * 6)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (Y, [1, 5]),
        (Y.astype(np.uint8)[:, None], [1, 5]),
        (Y.astype(np.float64), [1, 5]),
        (Y == 5, [0, 1]),
        (np.array(["é", "b"] * 6), ["b", "é"]),
        (np.array([b"z", b"b"] * 6), ["b", "z"]),
    ],
)
def test_npz_labels(tmp_path, y, classes):
    for keys in (("X", "y", None), ("x", "y", None), ("X", "target", "target")):
        table = read_table(npz(tmp_path, **{keys[0]: X, keys[1]: y}), keys[2])
        assert table.classes == classes
        assert [type(name) for name in table.classes] == [type(name) for name in classes]
        first = y.flat[0].decode() if y.dtype.kind == "S" else y.flat[0]
        assert table.y.tolist() == [classes.index(first), 1 - classes.index(first)] * 6
        np.testing.assert_array_equal(table.X, X)
        assert table.y.dtype == np.int64


def test_npz_images_share_a_unit(tmp_path):
    images = np.arange(12 * 6, dtype=np.uint8).reshape(12, 2, 3)
    table = read_table(npz(tmp_path, x=images, y=Y))
    assert table.X.shape == (12, 6)
    assert table.X.dtype == np.float32
    assert table.one_unit


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y": Y}, ["'X'", "the arrays are y"]),
        ({"X": X}, ["'y'", "the arrays are X"]),
        ({"X": X, "y": Y[:5]}, ["12 rows", "(5,)"]),
        ({"X": X[0], "y": Y}, ["'X'", "(2,)"]),
        ({"X": X[:, :0], "y": Y}, ["no column"]),
        ({"X": X.astype(complex), "y": Y}, ["'X'", "complex"]),
        ({"X": X.astype(str), "y": Y}, ["'X'", "<U"]),
        ({"X": X.astype(object), "y": Y}, ["objects"]),
        ({"X": X, "y": Y.astype(object)}, ["objects"]),
        ({"X": X, "y": Y + 0.5}, ["row 0 of 'y'", "1.5"]),
        ({"X": X, "y": Y * np.where(np.arange(12) == 7, np.nan, 1)}, ["row 7 of 'y'", "nan"]),
        ({"X": X, "y": Y.astype("M8[s]")}, ["'y'", "datetime64"]),
        ({"X": X, "y": np.array(["a", ""] * 6)}, ["row 1 of 'y'", "missing"]),
        ({"X": np.where(X == 7, np.nan, X), "y": Y}, ["row 3, column 1 of 'X'", "nan"]),
        ({"X": np.where(X == 8, -np.inf, X), "y": Y}, ["row 4, column 0 of 'X'", "-inf"]),
        ({"X": X[:4], "y": Y[:4]}, ["4 rows"]),
        ({"X": X[:0], "y": Y[:0]}, ["0 rows"]),
        ({"X": X, "y": Y * 0}, ["'y'", "every label is 0"]),
        ({"X": X, "y": np.arange(12)}, ["'y'", "12 different labels"]),
    ],
)
def test_npz_faults(tmp_path, arrays, words):
    refused(npz(tmp_path, **arrays), *words, label=None)


def test_npz_label_key(tmp_path):
    path = npz(tmp_path, X=X, y=Y)
    refused(path, "'target' for --label", "X, y", label="target")
    refused(path, "'X'", "both", label="X")


def test_npz_never_unpickles(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (os.fspath(tmp_path / "boom"),))

    path = npz(tmp_path, X=np.array([[Bomb()]] * 12), y=Y)
    refused(path, "objects", label=None)
    assert not (tmp_path / "boom").exists()


def test_damaged_archives(tmp_path):
    whole = npz(tmp_path, X=np.random.default_rng(0).random((12, 2)), y=Y).read_bytes()
    path = tmp_path / "damaged.npz"
    renamed = whole.replace(b"X.npy", b"W.npy")
    for damaged in (whole[:-30], whole[: len(whole) // 2], b"PK\x03\x04", b"some text", renamed):
        path.write_bytes(damaged)
        refused(path, label=None)
    middle = whole.index(b"NUMPY") + 150
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    refused(path, "not a usable", label=None)
    with open(path, "wb") as file:
        np.save(file, X)
    refused(path, "single array", label=None)
