"""Damage to files, drawn from a seeded generator: of bytes, of text, and of what is packed inside them."""

import gzip
import io
import json
import zipfile

import numpy as np

INTERESTING = [bytes([b]) * n for b in (0x00, 0xFF, 0x7F, 0x80, 0x20, 0x39, 0x5B, 0x7B) for n in (1, 2, 4, 8)]
WORDS = [
    b"nan", b"-inf", b"1e999", b"-1", b"0", b"9" * 25, b"1" + b"0" * 400, b"null", b"true", b"[]", b"{}", b'""',
    b"[" * 2000, b"(0,)", b"(-1, 2)", b"(1 << 70,)", b"True", b"'O'", b"'<U1'", b"'|V0'", b"\xff\xfe", b"\xed\xa0\x80",
    b"\0", b"\r\n", b'"', b",", b"__metadata__",
]  # fmt: skip


def damaged(data, corpus, rng):
    """``data`` with one to four random changes; ``corpus``: other files, of which pieces may be taken."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        i = int(rng.integers(len(data) + 1))
        j = min(len(data), i + int(rng.integers(1, 17)))
        kind = rng.integers(8)
        if kind == 0 and i < len(data):
            data[i] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[i:j] = rng.bytes(j - i)
        elif kind == 2:
            piece = INTERESTING[rng.integers(len(INTERESTING))]
            data[i : i + len(piece)] = piece
        elif kind == 3:
            data[i:j] = WORDS[rng.integers(len(WORDS))]
        elif kind == 4:
            del data[i:j]
        elif kind == 5:
            data[i:i] = data[i:j] * int(rng.integers(1, 9))
        elif kind == 6:
            del data[i:]
        else:
            other = corpus[rng.integers(len(corpus))]
            k = int(rng.integers(len(other) + 1))
            data[i:j] = other[k : k + int(rng.integers(1, 65))]
    return bytes(data)


def damaged_gzip(data, corpus, rng):
    """The packed bytes damaged, or what is in them, and packed again."""
    if data[:2] != b"\x1f\x8b" or rng.random() < 0.3:
        return damaged(data, corpus, rng)
    return gzip.compress(damaged(gzip.decompress(data), corpus, rng), 1)


def damaged_zip(data, corpus, rng):
    """The archive damaged, or its members or their names, with right sums."""
    if rng.random() < 0.3:
        return damaged(data, corpus, rng)
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        members = [(name, old.read(name)) for name in old.namelist()]
        chosen = rng.integers(len(members))
        for i, (name, content) in enumerate(members):
            if i == chosen:
                if rng.random() < 0.2:
                    name = ["X", "X.npy", "y", "x.npy", "z", "y.npy.npy"][rng.integers(6)]
                else:
                    content = damaged(content, [c for _, c in members], rng)
            if name not in new.namelist():
                new.writestr(name, content)
    return made.getvalue()


def damaged_checkpoint(data, corpus, rng):
    """The file damaged, or its content, with a right SHA-256: only then does a reader look at it."""
    from fastml.nn.checkpoint import _digest
    from fastml.nn.serialization import _CODES, _DTYPES

    if rng.random() < 0.3:
        return damaged(data, corpus, rng)
    length = int.from_bytes(data[:8], "little")
    head, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    about = head["__metadata__"]
    text = damaged(about["content"].encode(), [about["content"].encode()], rng).decode(errors="replace")
    if rng.random() < 0.5:
        text = _other_value(about["content"], rng)
    arrays = {}
    for name, tensor in head.items():
        if name != "__metadata__":
            start, end = tensor["data_offsets"]
            arrays[name] = np.frombuffer(body[start:end], _DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
            assert arrays[name].dtype in _CODES
    about |= {"content": text, "sha256": _digest(text, arrays)}
    packed = json.dumps(head).encode()
    return len(packed).to_bytes(8, "little") + packed + body


def _other_value(text, rng):
    """JSON with one of its values replaced, or left out."""
    tree, places = json.loads(text), []

    def collect(value):
        for key in range(len(value)) if isinstance(value, list) else list(value):
            places.append((value, key))
            if isinstance(value[key], (list, dict)):
                collect(value[key])

    collect(tree)
    owner, key = places[rng.integers(len(places))]
    if rng.random() < 0.2:
        del owner[key]
    else:
        others = [
            None,
            True,
            -1,
            0,
            2**70,
            1.5,
            "",
            "text",
            [],
            {},
            [[]],
            {"dict": 3},
            {"array": "none"},
            {"float": "nan"},
        ]
        owner[key] = others[rng.integers(len(others))]
    return json.dumps(tree)
