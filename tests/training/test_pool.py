import numpy as np
import pytest

from vivavoce.training.pool import ItemPool


def item(index):
    return {"index": np.array(index), "twice": np.full(3, 2 * index, np.float32)}


def fails(index):
    if index == 7:
        raise ValueError("no such item")
    return item(index)


def pool(make=item, **changes):
    return ItemPool(make, **{"batch": 4, "window": 8, "echo": 2, "seed": 3, "workers": 0, **changes})


def batches(made, steps):
    with made:
        return [made.batch(step)["index"].tolist() for step in steps]


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_do_not_depend_on_the_workers(workers):
    steps = range(40)
    assert batches(pool(workers=workers), steps) == batches(pool(), steps)


def test_a_resumed_run_sees_the_same_batches():
    assert batches(pool(), range(30))[12:] == batches(pool(first_step=12), range(12, 30))


def test_items_are_used_as_often_as_the_echo_says():
    drawn = np.concatenate(batches(pool(batch=8, window=32, echo=4), range(500)))
    counts = np.bincount(drawn)[32:-40]
    assert counts.mean() == pytest.approx(4, abs=0.1)


def test_arrays_of_an_item_stay_together():
    with pool(workers=2) as made:
        for step in range(20):
            batch = made.batch(step)
            assert (batch["twice"] == 2 * batch["index"][:, None]).all()
            assert len(set(batch["index"].tolist())) == 4


@pytest.mark.parametrize("workers", [0, 1])
def test_a_failure_in_a_worker_is_told(workers):
    with pool(fails, workers=workers) as made, pytest.raises((RuntimeError, ValueError), match="no such item"):
        made.batch(0)


@pytest.mark.parametrize("changes", [{"batch": 0}, {"window": 3}, {"echo": 0}, {"workers": -1}], ids=str)
def test_bad_numbers_are_refused(changes):
    with pytest.raises(ValueError, match="no pool"):
        pool(**changes)
