"""The place in a pass over mini-batches: saved, gone on from, copied."""

import pickle

import numpy as np
import pytest

from fastml import data


def numbers(batches):
    return [batch[0].tolist() for batch in batches]


@pytest.mark.parametrize("options", [{}, {"shuffle": False}, {"prefetch": 2}, {"drop_last": True}])
def test_a_place_is_gone_on_from(options):
    """Saved after any number of batches of any pass, into an object that has done other passes."""

    def make(seed):
        return data.batches(np.arange(10), batch_size=4, seed=seed, **options)

    whole = make(7)
    passes = [numbers(whole) for _ in range(3)]
    for epoch in range(3):
        for done in range(len(whole) + 1):
            saved = make(7)
            saved.epoch = epoch
            begun = iter(saved)
            for _ in range(done):
                next(begun)
            place = saved.state_dict()
            resumed = make(0)
            list(resumed)
            resumed.load_state_dict(place)
            assert resumed.state_dict() == place
            assert numbers(resumed) == passes[epoch][done:]
            assert resumed.state_dict()["epoch"] == epoch + 1
            if epoch < 2:
                assert numbers(resumed) == passes[epoch + 1]


def test_the_place_is_that_of_the_pass_that_began_last():
    batches = data.batches(np.arange(10), batch_size=4)

    def place():
        return batches.state_dict()["epoch"], batches.state_dict()["batch"]

    assert place() == (0, 0)
    first, second = iter(batches), iter(batches)
    next(first), next(first)
    assert place() == (1, 0)
    next(second)
    assert place() == (1, 1)
    del second
    assert place() == (2, 0)
    for count, _ in enumerate(batches, 1):
        assert place() == (2, count)  # after the last batch too: the pass has not come to its end
    assert place() == (3, 0)
    for _ in batches:
        break
    assert place() == (4, 0)
    third = iter(batches)
    next(third)
    third.close()
    assert place() == (5, 0)


def test_places_refused():
    batches = data.batches(np.arange(10), batch_size=4, seed=1)
    good = batches.state_dict()
    for change, words in [
        ({"rows": 11}, "state must be of batches with rows=10, .* not rows=11"),
        ({"batch_size": 5}, "batch_size=5"),
        ({"shuffle": False}, "shuffle=False"),
        ({"drop_last": True}, "drop_last=True"),
        ({"batch": 4}, "batch must be at most 3, .* not 4"),
        ({"batch": -1}, "batch"),
        ({"epoch": "1"}, "epoch must be an integer, not '1'"),
        ({"seed": 0.5}, "seed must be an integer or None, not 0.5"),
    ]:
        with pytest.raises((ValueError, TypeError), match=words):
            batches.load_state_dict({**good, **change})
    for name in good:
        with pytest.raises(ValueError, match=name):
            batches.load_state_dict({key: value for key, value in good.items() if key != name})
    with pytest.raises(TypeError, match="state must be a dict, not None"):
        batches.load_state_dict(None)
    assert batches.state_dict() == good
    assert pickle.loads(pickle.dumps(batches)).state_dict() == good


@pytest.mark.parametrize("way", ["break", "exception"])
@pytest.mark.parametrize("held", [False, True])
def test_the_place_after_a_loop_that_was_left(way, held):
    """Of a pass that nobody holds it is before the next one; of one that is held, behind the batch handed out last."""
    X = np.arange(20)
    batches = data.batches(X, batch_size=4, seed=3)
    handed, one = [], None
    passing = iter(batches)
    if held:
        one = passing
    try:
        for (x,) in passing:
            passing = None
            handed.append(x)
            if len(handed) == 2:
                if way == "break":
                    break
                raise ValueError
    except ValueError:
        pass
    place = batches.state_dict()
    assert (place["epoch"], place["batch"]) == ((0, 2) if held else (1, 0))
    resumed = data.batches(X, batch_size=4, seed=3)
    resumed.load_state_dict(place)
    if held:
        rest = [x for (x,) in resumed]
        assert sorted(np.concatenate([*handed, *rest]).tolist()) == X.tolist()
        del one
        assert batches.state_dict()["epoch"] == 1
