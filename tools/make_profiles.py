"""Generate `src/hounsfield/deid/profiles.tsv` from `profiles.txt`: `python tools/make_profiles.py`.

One line a tag of PS3.15 Table E.1-1 (hexadecimal, `x` for repeating digits), then what each edition does with it: `X`
removes it, `Z` empties it, `U` gives it another UID, `-` leaves it.
"""

import re
from pathlib import Path

SOURCE = Path(__file__).parent / "profiles.txt"
TARGET = Path(__file__).parent.parent / "src/hounsfield/deid/profiles.tsv"
EDITIONS = ("2008", "2017c", "2021b", "2023b")
LETTERS = {"remove": "X", "clear": "Z", "uid": "U"}

Actions = dict[tuple[str, str], None]


def read_editions(text: str) -> dict[str, Actions]:
    """The (tag, letter) pairs of each edition."""
    editions: dict[str, Actions] = {}
    current: Actions = {}
    for line in text.splitlines():
        section = re.fullmatch(r"\[(\w+)\](?: from (\w+))?", line)
        entry = re.fullmatch(r"([+-])(\w+) (\w{4}): (.+)", line)
        if section:
            current = dict(editions[section[2]]) if section[2] else {}
            editions[section[1]] = current
        elif entry:
            for element in entry[4].split():
                pair = (entry[3] + element, LETTERS[entry[2]])
                if entry[1] == "+":
                    current[pair] = None
                else:
                    del current[pair]
    return editions


def table(editions: dict[str, Actions]) -> str:
    """The lines of the table, in order of tag."""
    chosen = {edition: dict(tuple(actions)) for edition, actions in editions.items()}
    tags = sorted({tag for actions in chosen.values() for tag in actions})
    lines = ["\t".join(("tag", *EDITIONS))]
    lines += ["\t".join((tag, *(chosen[edition].get(tag, "-") for edition in EDITIONS))) for tag in tags]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(table(read_editions(SOURCE.read_text())))
