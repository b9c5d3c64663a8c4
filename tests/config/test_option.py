from hounsfield.config.option import Effect, Option, check
from hounsfield.config.options import OPTIONS, SECTIONS


def test_no_option_stands_twice() -> None:
    assert sum(len(section.options) for section in SECTIONS) == len(OPTIONS)


def test_every_default_passes_its_own_check() -> None:
    def bad(option: Option) -> bool:
        return option.default is not None and check(option, option.default) is not None

    assert [option.name for option in OPTIONS.values() if bad(option)] == []


def test_an_option_without_effect_says_why() -> None:
    silent = [
        option.name
        for option in OPTIONS.values()
        if (option.effect is not Effect.ACTS) != bool(option.reason)
    ]
    assert silent == []
