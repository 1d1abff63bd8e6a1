"""The pictures of ``fastml train --plots``: what they say, in names of any script and number."""

import math
import types
import warnings

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from fastml.cli import plots


def drawn(figure, folder):
    """The figure's file, written without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (path,) = plots.save_figures(str(folder), {"figure": figure})
    return path


@pytest.mark.parametrize("classes", [3, 40, 41, 100])
def test_ticks_of_a_confusion_matrix_are_names(classes, tmp_path):
    names = [f"name {i}" for i in range(classes)]
    figure = plots.confusion(np.eye(classes, dtype=int), names)
    drawn(figure, tmp_path)
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        places = axis.get_ticklocs()
        assert [label.get_text() for label in axis.get_ticklabels()] == [names[int(i)] for i in places]
        assert classes / 4 < len(places) <= 40


@pytest.mark.parametrize("name", ["\u4e2d\u6587", "\u65e5\u672c\u8a9e", "\U0001f600", "\u0410$x$", "\ud55c"])
def test_names_of_every_script_are_drawn(name, tmp_path):
    drawn(plots.confusion(np.eye(2, dtype=int), [name, "b"]), tmp_path)


def test_characters_that_no_font_has_become_their_numbers(monkeypatch):
    from matplotlib import font_manager

    usual = [f for f in font_manager.fontManager.ttflist if f.name == "DejaVu Sans"]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", usual)
    names, fonts = plots._names(["a\u4e2d", "b"])
    assert names == ["aU+4E2D", "b"] and fonts == ["sans-serif"]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_curve_says_what_it_shows(smoothing, tmp_path):
    history = types.SimpleNamespace(losses=[2.0, 1.0], val_losses=[2.5, 1.5], val_accuracies=[0.5, 0.9])
    figure = plots.loss(history, smoothing, 10)
    drawn(figure, tmp_path)
    left = figure.axes[0]
    lines = {line.get_label(): line.get_ydata() for line in left.get_lines()}
    assert list(lines["training loss"]) == history.losses and list(lines["validation loss"]) == history.val_losses
    assert ("label smoothing 0.1" in left.get_ylabel()) == (smoothing > 0)
    assert ("least possible loss 0.5" in lines) == (smoothing > 0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_least_loss_is_the_entropy_of_the_label(smoothing):
    p = [1 - smoothing + smoothing / 4] + [smoothing / 4] * 3
    wanted = -sum(q * math.log(q) for q in p if q)
    assert plots.least_loss(smoothing, 4) == pytest.approx(wanted, abs=1e-15)
