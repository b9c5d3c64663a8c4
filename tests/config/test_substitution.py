import pytest

from hounsfield.config.substitution import substitute


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${SET}", "value"),
        ("${UNSET}", ""),
        ("${UNSET:-8042}", "8042"),
        ("${EMPTY:-8042}", ""),
        ("${SET:-other}", "value"),
        ('"${UNSET:-"a}b"}"', '"a}b"'),
        ("\"${UNSET:-'a}b'}\"", '"a}b"'),
        ("${UNSET:-}", ""),
        ("$SET ${", "$SET ${"),
        ("${A B}", ""),
        ("${SET}${SET}", "valuevalue"),
        ("${UNSET:-http://host:1/}", "http://host:1/"),
    ],
)
def test_references_are_replaced(text: str, expected: str) -> None:
    assert substitute(text, {"SET": "value", "EMPTY": ""}) == expected


def test_a_value_is_not_searched_for_references() -> None:
    assert substitute("${A}", {"A": "${B}", "B": "no"}) == "${B}"
