import threading

import pytest

from hounsfield.errors import Cancelled
from hounsfield.retrieve.turns import Turns


def test_no_more_have_a_turn_than_allowed() -> None:
    turns, under_way, most = Turns(2), 0, 0
    lock, meet = threading.Lock(), threading.Barrier(2)

    def work() -> None:
        nonlocal under_way, most
        with turns.take(lambda: False):
            with lock:
                under_way += 1
                most = max(most, under_way)
            meet.wait(10)  # Two at a time get on only together.
            with lock:
                under_way -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == 2


def test_who_has_left_gets_no_turn() -> None:
    turns = Turns(1)
    with turns.take(lambda: False), pytest.raises(Cancelled), turns.take(lambda: True):
        raise AssertionError
    with pytest.raises(Cancelled), turns.take(lambda: True):
        raise AssertionError
    with turns.take(lambda: False):  # The turn was given back.
        pass
