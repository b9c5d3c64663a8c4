"""`${VAR}` in the text of a configuration file, replaced before the text is read as JSON."""

import re
from collections.abc import Mapping
from typing import Final

# The quotes around a default delimit it and are dropped, so that it may contain "}".
_REFERENCE: Final = re.compile(r"""\$\{([^{}]*?)(?::-(?:"([^"]*)"|'([^']*)'|([^}]*)))?\}""")


def substitute(text: str, environment: Mapping[str, str]) -> str:
    r"""Replace each reference to an environment variable.

    A variable that is set to the empty string stays empty: the default is for variables that are not set at all.

    >>> substitute('{"HttpPort": ${PORT:-8042}, "Name": "${NAME}", "Locale": "${L:-"a}b"}"}', {"NAME": "CT"})
    '{"HttpPort": 8042, "Name": "CT", "Locale": "a}b"}'
    """

    def value(reference: re.Match[str]) -> str:
        name, *defaults = reference.groups()
        default = next((text for text in defaults if text is not None), "")
        return environment.get(name, default)

    return _REFERENCE.sub(value, text)
