"""Runs end to end: what was put is there, wherever it moved, and idle room is taken up again."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contracts.runs import Runs

puts = st.lists(st.tuples(st.integers(0, 7), st.lists(st.integers(0, 99), max_size=40)), max_size=60)


def both(runs: Runs, rows: list[int]) -> tuple[list[int], list[int], list[float]]:
    """Lengths and both columns' cells of some rows."""
    lengths, places = runs.places(np.array(rows))
    return lengths.tolist(), runs.columns[0][places].tolist(), runs.columns[1][places].tolist()


@given(puts)
def test_what_was_put_last_is_there(steps: list[tuple[int, list[int]]]) -> None:
    runs, reference = Runs(np.int32, np.float64), dict[int, list[int]]()
    for row, values in steps:
        runs.fit(row + 1)
        runs.put(row, values, [value / 2 for value in values])
        reference[row] = values
        assert [cells.tolist() for cells in runs.of(row)] == [values, [value / 2 for value in values]]
    rows = [-1, *range(9), 10_000]
    expected = [reference.get(row, []) for row in rows]
    cells = [value for values in expected for value in values]
    assert both(runs, rows) == ([len(values) for values in expected], cells, [value / 2 for value in cells])


def test_runs_that_change_over_and_over_take_no_more_room() -> None:
    runs, rng = Runs(np.int32), np.random.default_rng(0)
    runs.fit(100)
    for _ in range(20_000):
        runs.put(int(rng.integers(100)), np.arange(rng.integers(50)))
    for row in range(100):
        runs.put(row, np.arange(50))
    assert runs.columns[0].size <= 2 * 100 * 50 * 3 // 2
