"""Writes the corpus that test_fuzz.py damages; run once, its files are kept: python -m tests.fuzz.make_corpus"""

import io
from pathlib import Path

import numpy as np

from fastml import data, nn, optim

FOLDER = Path(__file__).parent / "corpus"


def trained():
    """The parts of a small training, all in one place: what a checkpoint holds."""
    model = nn.Sequential(
        nn.Linear(2, 3, seed=0), nn.BatchNorm(3), nn.ReLU(), nn.Dropout(0.5, seed=1), nn.Linear(3, 2, seed=2)
    )
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = np.linspace(-1, 1, 16, dtype=np.float32).reshape(8, 2), np.arange(8) % 2
    parts = {
        "model": model,
        "optimizer": optimizer,
        "schedule": optim.MultiStepLR(optimizer, [1, 1, 3]),
        "ema": optim.EMA(model.parameters()),
        "scaler": optim.GradScaler(),
        "batches": data.batches(x, y, batch_size=3),
    }
    step = nn.compile_step(model, nn.CrossEntropyLoss(), optimizer, ema=parts["ema"])
    for batch in parts["batches"]:
        step(*batch)
    parts["schedule"].step()
    return parts


def main():
    x, y = np.arange(24, dtype=np.float32).reshape(12, 2), np.arange(12) % 2
    for path, array in [
        ("bytes.idx", x[:3].astype("u1")),
        ("number.idx", np.float64(1)),
        ("packed.idx.gz", x.astype(">i2")),
        ("none.idx", np.zeros((0, 5), "i4")),
    ]:
        data.write_idx(FOLDER / path, np.asarray(array))
    rows = [f"{a:g},{b:g},{'ab'[k]}" for (a, b), k in zip(x, y, strict=True)]
    (FOLDER / "header.csv").write_text("\n".join(["x,y,y", *rows]).replace("y,y", "z,y"))
    (FOLDER / "quoted.csv").write_text("\ufeffz,y\r\n" + '"1.5","a ""b"""\r\n-2e3, c \r\n' * 6, encoding="utf-8")
    (FOLDER / "plain.tsv").write_text("z\ty\n" + "1\t7\n2\t-8\n" * 6)
    for path, arrays in [
        ("plain.npz", {"X": x, "y": y}),
        ("texts.npz", {"x": x.astype("u1"), "y": np.array(["é", "b"] * 6)}),
        ("bytes.npz", {"X": x.reshape(12, 2, 1), "y": np.array([b"p", b"q"] * 6)[:, None]}),
    ]:
        made = io.BytesIO()
        np.savez_compressed(made, **arrays)
        (FOLDER / path).write_bytes(made.getvalue())
    nn.save(
        {"w": x, "half": x[0].astype("f2"), "n": np.int64(3), "no": x[:0]}, FOLDER / "arrays.safetensors", {"a": "ü"}
    )
    nn.save({}, FOLDER / "empty.safetensors")
    nn.save_checkpoint(FOLDER / "training.checkpoint", **trained(), extra={"a": [1, 2.5, None, ("t", float("inf"))]})
    small = nn.Linear(2, 1, seed=0)
    nn.save_checkpoint(FOLDER / "model.checkpoint", model=small)


if __name__ == "__main__":
    main()
