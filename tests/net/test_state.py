import pytest
from pynetdicom import fsm

from hounsfield.net.state import NEXT_STATE, TABLE, Action, Cause, State


def test_the_table_has_every_cell_of_the_standard() -> None:
    """PS3.8 Table 9-10, as another implementation transcribed it."""
    theirs = {
        (Cause(int(event.removeprefix("Evt"))), State(int(state.removeprefix("Sta")))): action.replace(
            "_", "-"
        )
        for (event, state), action in fsm.TRANSITION_TABLE.items()
    }
    assert {cell: action.value for cell, action in TABLE.items()} == theirs


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("state", State)
def test_every_pdu_and_every_loss_has_an_answer_wherever_there_is_a_connection(
    cause: Cause, state: State
) -> None:
    from_network = {3, 4, 6, 10, 12, 13, 16, 17, 19}
    if cause in from_network and state not in (State.IDLE, State.AWAITING_CONNECTION):
        assert (cause, state) in TABLE


def test_every_action_leads_somewhere() -> None:
    assert set(NEXT_STATE) == set(Action)
    assert set(TABLE.values()) == set(Action)
