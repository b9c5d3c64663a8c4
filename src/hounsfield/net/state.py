"""The state machine of the upper layer, as the standard prints it. PS3.8 9.2, Tables 9-6 to 9-10."""

from enum import Enum, IntEnum


class State(IntEnum):
    """States Sta1 to Sta13. PS3.8 Tables 9-1 to 9-5."""

    IDLE = 1
    AWAITING_ASSOCIATE_RQ = 2
    AWAITING_LOCAL_ANSWER = 3
    AWAITING_CONNECTION = 4
    AWAITING_ASSOCIATE_ANSWER = 5
    ESTABLISHED = 6
    AWAITING_RELEASE_RP = 7
    AWAITING_LOCAL_RELEASE = 8
    COLLISION_REQUESTER_LOCAL = 9
    COLLISION_ACCEPTOR_PEER = 10
    COLLISION_REQUESTER_PEER = 11
    COLLISION_ACCEPTOR_LOCAL = 12
    AWAITING_CLOSE = 13


class Cause(IntEnum):
    """Events Evt1 to Evt19, which move the machine. PS3.8 Table 9-10, first column."""

    ASSOCIATE_REQUEST = 1
    CONNECTION_CONFIRMED = 2
    ASSOCIATE_AC_PDU = 3
    ASSOCIATE_RJ_PDU = 4
    CONNECTION_INDICATED = 5
    ASSOCIATE_RQ_PDU = 6
    ACCEPT_RESPONSE = 7
    REJECT_RESPONSE = 8
    DATA_REQUEST = 9
    DATA_PDU = 10
    RELEASE_REQUEST = 11
    RELEASE_RQ_PDU = 12
    RELEASE_RP_PDU = 13
    RELEASE_RESPONSE = 14
    ABORT_REQUEST = 15
    ABORT_PDU = 16
    CONNECTION_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Action(Enum):
    """What to do. PS3.8 Tables 9-6 (AE), 9-7 (DT), 9-8 (AR) and 9-9 (AA)."""

    AE1 = "AE-1"
    AE2 = "AE-2"
    AE3 = "AE-3"
    AE4 = "AE-4"
    AE5 = "AE-5"
    AE6 = "AE-6"
    AE7 = "AE-7"
    AE8 = "AE-8"
    DT1 = "DT-1"
    DT2 = "DT-2"
    AR1 = "AR-1"
    AR2 = "AR-2"
    AR3 = "AR-3"
    AR4 = "AR-4"
    AR5 = "AR-5"
    AR6 = "AR-6"
    AR7 = "AR-7"
    AR8 = "AR-8"
    AR9 = "AR-9"
    AR10 = "AR-10"
    AA1 = "AA-1"
    AA2 = "AA-2"
    AA3 = "AA-3"
    AA4 = "AA-4"
    AA5 = "AA-5"
    AA6 = "AA-6"
    AA7 = "AA-7"
    AA8 = "AA-8"


NEXT_STATE: dict[Action, State] = {
    Action.AE1: State(4),
    Action.AE2: State(5),
    Action.AE3: State(6),
    Action.AE4: State(1),
    Action.AE5: State(2),
    Action.AE6: State(3),  # Sta13 when the request is refused by the provider itself.
    Action.AE7: State(6),
    Action.AE8: State(13),
    Action.DT1: State(6),
    Action.DT2: State(6),
    Action.AR1: State(7),
    Action.AR2: State(8),
    Action.AR3: State(1),
    Action.AR4: State(13),
    Action.AR5: State(1),
    Action.AR6: State(7),
    Action.AR7: State(8),
    Action.AR8: State(9),  # Sta10 on the side of the acceptor.
    Action.AR9: State(11),
    Action.AR10: State(12),
    Action.AA1: State(13),
    Action.AA2: State(1),
    Action.AA3: State(1),
    Action.AA4: State(1),
    Action.AA5: State(1),
    Action.AA6: State(13),
    Action.AA7: State(13),
    Action.AA8: State(13),
}

_ROWS = """
      1    2    3    4    5    6    7    8    9    10    11   12   13
 1    AE-1 -    -    -    -    -    -    -    -    -     -    -    -
 2    -    -    -    AE-2 -    -    -    -    -    -     -    -    -
 3    -    AA-1 AA-8 -    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
 4    -    AA-1 AA-8 -    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
 5    AE-5 -    -    -    -    -    -    -    -    -     -    -    -
 6    -    AE-6 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
 7    -    -    AE-7 -    -    -    -    -    -    -     -    -    -
 8    -    -    AE-8 -    -    -    -    -    -    -     -    -    -
 9    -    -    -    -    -    DT-1 -    AR-7 -    -     -    -    -
10    -    AA-1 AA-8 -    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
11    -    -    -    -    -    AR-1 -    -    -    -     -    -    -
12    -    AA-1 AA-8 -    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
13    -    AA-1 AA-8 -    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6
14    -    -    -    -    -    -    -    AR-4 AR-9 -     -    AR-4 -
15    -    -    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1 AA-1 -
16    -    AA-2 AA-3 -    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3 AA-3 AA-2
17    -    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4 AA-4 AR-5
18    -    AA-2 -    -    -    -    -    -    -    -     -    -    AA-2
19    -    AA-1 AA-8 -    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
"""


def _read_table(rows: str) -> dict[tuple[Cause, State], Action]:
    heading, *lines = rows.strip("\n").splitlines()
    states = [State(int(number)) for number in heading.split()]
    table = {}
    for line in lines:
        number, *cells = line.split()
        for state, cell in zip(states, cells, strict=True):
            if cell != "-":
                table[Cause(int(number)), state] = Action(cell)
    return table


TABLE: dict[tuple[Cause, State], Action] = _read_table(_ROWS)
"""PS3.8 Table 9-10: what to do on each cause in each state; what is not there cannot happen."""
