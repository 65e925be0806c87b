"""Functions that take turns: their order, their errors, what is left behind."""

from __future__ import annotations

import contextlib
import threading
import warnings

import numpy as np
import pytest

from portable_nn.model_selection.turns import Turns, current

pytestmark = pytest.mark.usefixtures("host_only")


def never(requests):
    return False


def waiting(name, log, times=1):
    """A function that waits so many times, and writes down when it runs."""

    def run():
        log.append(f"{name} begins")
        for _ in range(times):
            current().wait_for([name])
            log.append(f"{name} goes on")
        return name

    return run


def test_all_begin_in_order_then_wait_then_go_on_in_order():
    log = []
    functions = [waiting("a", log), waiting("b", log, times=0), waiting("c", log, times=2)]
    results = Turns(functions, lambda requests: log.append(list(requests)), never).run()
    assert results == ["a", "b", "c"]
    assert log == [
        *("a begins", "b begins", "c begins"),
        *(["a", "c"], "a goes on", "c goes on"),
        *(["c"], "c goes on"),
    ]


def test_no_more_begin_while_those_that_wait_are_enough():
    carried = []
    functions = [waiting(name, [], times=2) for name in "abcde"]
    Turns(functions, carried.append, lambda requests: len(requests) >= 2).run()
    assert carried == [["a", "b"], ["a", "b"], ["c", "d"], ["c", "d"], ["e"], ["e"]]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_error_is_that_of_a_loop_and_later_functions_are_abandoned(moment):
    log, cleaned = [], []

    def fails():
        if moment == "after":
            current().wait_for(["fails"])
        raise ValueError("the second")

    def fails_too():
        try:
            current().wait_for(["later"])
        except Exception as error:
            cleaned.append(error)
        finally:
            cleaned.append("finally")
        raise KeyError("the third")

    before = threading.active_count()
    functions = [waiting("a", log, times=2), fails, fails_too, waiting("d", log)]
    with pytest.raises(ValueError, match="the second"):
        Turns(functions, lambda requests: None, never).run()
    assert [line for line in log if line.startswith("a")] == ["a begins", "a goes on", "a goes on"]
    assert "d goes on" not in log
    assert cleaned == (["finally"] if moment == "after" else [])
    assert threading.active_count() == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupt_of_what_is_carried_out_leaves_no_thread_behind(error):
    before, ended = threading.active_count(), []

    def stubborn():
        for _ in range(3):  # catches everything, and waits again
            with contextlib.suppress(BaseException):
                current().wait_for(["x"])
        ended.append(True)

    def carry_out(requests):
        raise error

    with pytest.raises(error):
        Turns([stubborn] * 3, carry_out, never).run()
    assert len(ended) == 3
    assert threading.active_count() == before


def test_an_interrupt_while_a_function_runs_waits_for_it_to_end():
    before, log = threading.active_count(), []
    has_begun, goes_on = threading.Event(), threading.Event()

    def slow():
        has_begun.set()
        goes_on.wait()
        log.append("slow ends")

    def interrupted():
        has_begun.wait()
        threading.Timer(0.05, goes_on.set).start()
        raise KeyboardInterrupt

    turns = Turns([waiting("a", log), slow], lambda requests: None, never)
    turns.turns[1]._paused.wait = interrupted
    with pytest.raises(KeyboardInterrupt):
        turns.run()
    assert log == ["a begins", "slow ends"]
    assert threading.active_count() == before


def test_where_there_are_no_more_threads_those_that_wait_are_carried_out_first(monkeypatch):
    start, alive, carried = threading.Thread.start, [], []

    def scarce(thread):
        if sum(thread.is_alive() for thread in alive) == 2:
            raise RuntimeError("can't start new thread")
        alive.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    functions = [waiting(name, []) for name in "abcde"]
    assert Turns(functions, carried.append, never).run() == list("abcde")
    assert carried == [["a", "b"], ["c", "d"], ["e"]]


def test_each_finds_its_warning_filters_as_it_left_them():
    def filtered(action):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            current().wait_for([action])
            warnings.warn(action, UserWarning, stacklevel=1)
        return [str(warning.message) for warning in caught]

    def carry_out(requests):
        warnings.warn("of what is carried out", UserWarning, stacklevel=1)  # ignored, as by the first

    before = list(warnings.filters)
    functions = [lambda action=action: filtered(action) for action in ("ignore", "always", "ignore")]
    assert Turns(functions, carry_out, never).run() == [[], ["always"], []]
    assert warnings.filters == before
    with pytest.raises(UserWarning, match="an error again"):
        warnings.warn("an error again", UserWarning, stacklevel=1)


def test_each_has_the_error_state_of_numpy_of_the_caller():
    with np.errstate(divide="raise"):
        with pytest.raises(FloatingPointError):
            Turns([lambda: np.ones(1) / np.zeros(1)], lambda requests: None, never).run()
        results = Turns([np.geterr], lambda requests: None, never).run()
    assert results[0]["divide"] == "raise"
