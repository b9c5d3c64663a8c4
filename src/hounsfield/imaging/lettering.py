"""Letters on pictures, where no font can be relied on: capitals, digits and a few signs, 5 by 7 pixels."""

from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEIGHT = 7
ADVANCE = 6

# Five columns a letter from the left, the lowest bit at the top.
_LETTERS = MappingProxyType(
    {
        letter: bytes.fromhex(columns)
        for letter, columns in (
            entry.split()
            for entry in """
A 7C1211127C|B 7F49494936|C 3E41414122|D 7F4141413E|E 7F49494941|F 7F09090901|G 3E41415173|H 7F0808087F
I 00417F4100|J 2040413F01|K 7F08142241|L 7F40404040|M 7F021C027F|N 7F0408107F|O 3E4141413E|P 7F09090906
Q 3E4151215E|R 7F09192946|S 2649494932|T 03017F0103|U 3F4040403F|V 1F2040201F|W 3F4038403F|X 6314081463
Y 0304780403|Z 6159494D43|0 3E5149453E|1 00427F4000|2 7249494946|3 2141494D33|4 1814127F10|5 2745454539
6 3C4A494931|7 4121110907|8 3649494936|9 464949291E|. 0060600000|- 0808080808|/ 2010080402|+ 08083E0808
: 0000140000|% 2313086462|( 001C224100|) 0041221C00|, 0080703000|= 1414141414|_ 4040404040
""".replace("\n", "|")
            .strip("|")
            .split("|")
        )
    }
)
_UNKNOWN = bytes.fromhex("7F4141417F")
_BLANK = bytes(5)


def letters(text: str) -> NDArray[np.bool_]:
    r"""Where a line of text is inked: shape (7, 6 a letter). What has no letter is a box.

    >>> print("\n".join("".join(".#"[dot] for dot in line) for line in letters("V1").astype(int)))
    #...#...#...
    #...#..##...
    #...#...#...
    #...#...#...
    #...#...#...
    .#.#....#...
    ..#....###..
    """
    columns = b"".join(
        (_BLANK if letter == " " else _LETTERS.get(letter, _UNKNOWN)) + b"\0" for letter in text.upper()
    )
    bits = np.unpackbits(np.frombuffer(columns, np.uint8)[:, np.newaxis], axis=1, bitorder="little")
    return bits.T[:HEIGHT].astype(np.bool_)


def write(image: NDArray[Any], row: int, column: int, text: str, colour: int | tuple[int, ...]) -> None:
    """Write a line of text into an image, its top left at `row` and `column`; what does not fit is cut off."""
    ink = letters(text)[: max(len(image) - row, 0), : max(image.shape[1] - column, 0)]
    image[row : row + ink.shape[0], column : column + ink.shape[1]][ink] = colour
