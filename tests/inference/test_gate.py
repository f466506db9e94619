"""No more is let in than can be worked on, and dear requests leave room for cheap ones."""

from contextlib import ExitStack

import pytest

from denoise.errors import Busy
from denoise.inference.gate import Gate, WorkGate


def test_a_gate_lets_in_what_has_room() -> None:
    gate = Gate(10, "bytes")
    with gate.admit(20), pytest.raises(Busy, match=r"20 bytes are being worked on; the limit is 10\."), gate.admit(1):
        pass
    with gate.admit(4), gate.admit(6):
        assert gate.inside == 10
    asked = r"4 bytes are being worked on, and 7 more are asked for; the limit is 10\."
    with gate.admit(4), pytest.raises(Busy, match=asked), gate.admit(7):
        pass
    with gate.admit(8) as held:
        held.shrink(3)
        assert gate.inside == 3
    assert gate.inside == 0


def test_what_is_inside_may_grow_while_there_is_room_or_nobody_else() -> None:
    gate = Gate(10, "bytes")
    with gate.admit(0) as held:
        held.grow(20)
        assert gate.inside == 20
        held.shrink(4)
        with gate.admit(3) as other:
            other.grow(6)
            with pytest.raises(Busy, match=r"10 bytes are being worked on; the limit is 10\."):
                other.grow(7)
    assert gate.inside == 0


def test_dear_requests_leave_half_of_the_room_to_cheap_ones() -> None:
    gate = WorkGate(20)
    with gate.admit(6):
        with pytest.raises(Busy, match=r"6 seconds of work by large requests are .* the limit is 10\."), gate.admit(6):
            pass
        with gate.admit(1), gate.admit(4):
            pass


def test_one_request_may_take_longer_than_all_the_room_and_keeps_no_cheap_one_out() -> None:
    gate = WorkGate(20)
    with gate.admit(300), gate.admit(1), pytest.raises(Busy), gate.admit(300):
        pass


def test_cheap_requests_are_too_many_at_last() -> None:
    gate = WorkGate(16)
    with ExitStack() as others:
        for _ in range(16):
            others.enter_context(gate.admit(1))
        with pytest.raises(Busy), gate.admit(0.1):
            pass


def test_work_may_turn_out_to_be_more_while_there_is_room() -> None:
    gate = WorkGate(20)
    with gate.admit(1) as work, gate.admit(1) as other:
        work.grow(9)
        with pytest.raises(Busy, match=r"9 seconds of work by large requests are .* the limit is 10\."):
            other.grow(2)
        work.grow(3)
        other.grow(2)
        with pytest.raises(Busy), gate.admit(6):
            pass
    with gate.admit(10):
        pass


def test_what_has_left_leaves_nothing_behind() -> None:
    gate = WorkGate(20)
    for seconds in (0.1, 0.2, 3.3, 7.7, 0.7) * 20:
        with gate.admit(seconds), gate.admit(seconds / 10):
            pass
    with gate.admit(300):
        pass
