"""Point sets: shapes, shares, formulas, scikit-learn's where it has them, seeds."""

import numpy as np
import pytest

from fastml import data

SETS = ["make_spirals", "make_moons", "make_circles", "make_blobs", "make_xor", "make_gaussians"]
NOISY = [name for name in SETS if name != "make_blobs"]


@pytest.mark.parametrize("n", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("name", SETS)
def test_shapes_and_shares(name, n):
    X, y = getattr(data, name)(n)
    assert X.shape == (n, 2) and X.dtype == np.float32 and X.flags.c_contiguous
    assert y.shape == (n,) and y.dtype == np.int64
    assert np.isfinite(X).all()
    counts = np.bincount(y, minlength=3 if name == "make_blobs" else 2)
    if name == "make_xor":
        assert n < 1000 or 0.4 < y.mean() < 0.6
    else:
        assert counts.max() - counts.min() <= 1
    if n == 1000:
        assert (np.diff(y) != 0).sum() > 200  # shuffled


@pytest.mark.parametrize("name", SETS)
def test_seeds(name):
    make = getattr(data, name)
    first, again, other, drawn = make(50, seed=3), make(50, seed=3), make(50, seed=4), make(50, seed=None)
    assert first[0].tobytes() == again[0].tobytes() and first[1].tobytes() == again[1].tobytes()
    assert first[0].tobytes() != other[0].tobytes() != drawn[0].tobytes()
    assert make(50)[0].tobytes() == make(50, seed=0)[0].tobytes()
    assert make(np.int64(5), seed=np.uint8(3))[0].shape == (5, 2)


@pytest.mark.parametrize("classes", [1, 2, 3, 5])
def test_spirals(classes):
    """Without noise every point is on its arm; with noise none is further off than that."""
    exact, y = data.make_spirals(601, noise=0, seed=1, classes=classes)
    exact = exact.astype(np.float64)
    t = np.hypot(*exact.T) / 5
    angle = 3.5 * np.pi * t + 2 * np.pi * y / classes
    np.testing.assert_allclose(exact, 5 * t[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1), atol=1e-5)
    for k in range(classes):
        steps = np.sort(t[y == k])
        np.testing.assert_allclose(steps, np.arange(len(steps)) / len(steps), atol=1e-6)
    noisy, _ = data.make_spirals(601, noise=0.5, seed=1, classes=classes)
    radii = np.hypot(*noisy.T)
    assert 0.3 < np.abs(noisy).max() - np.abs(exact).max() + 0.5 and radii.max() <= 5 + 0.5 * np.sqrt(2)


def rows(X):
    return X[np.lexsort(X.T.round(4))]


@pytest.mark.parametrize("n", [2, 7, 100, 101])
def test_equal_scikit_learns(n):
    theirs = pytest.importorskip("sklearn.datasets")
    pairs = [
        (data.make_moons(n, noise=None), theirs.make_moons(n)),
        (data.make_circles(n, noise=None), theirs.make_circles(n)),
        (data.make_circles(n, None, factor=0.3), theirs.make_circles(n, factor=0.3)),
        (
            data.make_blobs(n, centers=[[0, 1], [5, 5]], cluster_std=0),
            theirs.make_blobs(n, centers=[[0, 1], [5, 5]], cluster_std=0),
        ),
    ]
    for (X, y), (X_theirs, y_theirs) in pairs:
        for k in range(2):
            np.testing.assert_allclose(rows(X[y == k]), rows(X_theirs[y_theirs == k]), atol=1e-6)


@pytest.mark.parametrize("name", ["make_moons", "make_circles"])
def test_noise_is_a_standard_deviation(name):
    make = getattr(data, name)
    quiet, noisy = make(20_000, noise=0), make(20_000, noise=0.25)
    for k in range(2):
        added = noisy[0][noisy[1] == k].var(axis=0) - quiet[0][quiet[1] == k].var(axis=0)
        np.testing.assert_allclose(added, 0.25**2, rtol=0.15)


def test_blobs():
    X, y = data.make_blobs(9000, centers=[[0, 0, 9], [50, 0, 9], [0, 80, 9]], cluster_std=[1, 2, 0])
    assert X.shape == (9000, 3)
    np.testing.assert_allclose(X[y == 1].mean(axis=0), [50, 0, 9], atol=0.2)
    np.testing.assert_allclose(X[y == 0].std(axis=0), 1, rtol=0.1)
    np.testing.assert_allclose(X[y == 1].std(axis=0), 2, rtol=0.1)
    assert (X[y == 2] == [0, 80, 9]).all()
    X, y = data.make_blobs(100, centers=7, cluster_std=0, center_box=(3, 4))
    assert len(np.unique(X, axis=0)) == 7 and X.min() >= 3 and X.max() <= 4


def test_xor_and_gaussians():
    X, y = data.make_xor(5000, noise=0)
    assert np.array_equal(y, (X[:, 0] > 0) != (X[:, 1] > 0))
    assert np.abs(X).min() >= 0.3 and 5 < np.abs(X).max() <= 5.3
    X, y = data.make_xor(5000, noise=0.3)
    wrong = y != ((X[:, 0] > 0) != (X[:, 1] > 0))
    assert 0.02 < wrong.mean() < 0.3 and np.abs(X[wrong]).min(axis=1).max() < 1.5
    X, y = data.make_gaussians(20_000, noise=0.5)
    np.testing.assert_allclose(X[y == 0].mean(axis=0), [2, 2], atol=0.1)
    np.testing.assert_allclose(X[y == 1].var(axis=0), 4, rtol=0.1)


@pytest.mark.parametrize("name", SETS)
def test_errors(name):
    make = getattr(data, name)
    for n, error in ((0, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError), ("5", TypeError)):
        with pytest.raises(error, match="n must be"):
            make(n)
    for seed, error in ((-1, ValueError), (0.5, TypeError)):
        with pytest.raises(error, match="seed"):
            make(5, seed=seed)
    if name in NOISY:
        for noise, error in (
            (-0.1, ValueError),
            (float("nan"), ValueError),
            (float("inf"), ValueError),
            ("1", TypeError),
        ):
            with pytest.raises(error, match="noise"):
                make(5, noise=noise)


@pytest.mark.parametrize(
    ("name", "options", "error", "match"),
    [
        ("make_spirals", {"classes": 0}, ValueError, "classes"),
        ("make_spirals", {"classes": 2.5}, TypeError, "classes"),
        ("make_circles", {"factor": 1}, ValueError, "factor"),
        ("make_circles", {"factor": -0.1}, ValueError, "factor"),
        ("make_blobs", {"centers": 0}, ValueError, "centers"),
        ("make_blobs", {"centers": 2.5}, TypeError, "centers"),
        ("make_blobs", {"centers": np.zeros(3)}, ValueError, "centers"),
        ("make_blobs", {"centers": np.zeros((0, 2))}, ValueError, "centers"),
        ("make_blobs", {"centers": [[0, np.nan]]}, ValueError, "centers"),
        ("make_blobs", {"cluster_std": -1}, ValueError, "cluster_std"),
        ("make_blobs", {"cluster_std": [1, 2]}, ValueError, "cluster_std"),
        ("make_blobs", {"center_box": (1, 0)}, ValueError, "center_box"),
    ],
)
def test_errors_of_one(name, options, error, match):
    with pytest.raises(error, match=match):
        getattr(data, name)(10, **options)
