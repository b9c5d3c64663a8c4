"""Generate the tables in `src/hounsfield/dicom/dictionary` from pydicom's copy of PS3.6 and its private dictionaries.

`standard.tsv`: tag (hexadecimal, `x` for repeating digits), VR, VM, keyword. Ambiguous VRs keep their choices
joined by a slash. `private.tsv`: one block a creator, `# creator` then group, element, VR, VM, keyword;
the keyword is empty where only the VR is known. `uids.tsv`: UID, type, name, keyword.

    python tools/make_dictionary.py
"""

import re
from pathlib import Path

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._private_dict import private_dictionaries
from pydicom._uid_dict import UID_dictionary

FOLDER = Path(__file__).parent.parent / "src/hounsfield/dicom/dictionary"


def standard_lines() -> list[str]:
    """The lines of `standard.tsv`, in order of tag; attributes without keyword are left out."""
    rows = [(f"{tag:08x}", entry) for tag, entry in DicomDictionary.items()]
    rows += [(mask.lower(), entry) for mask, entry in RepeatersDictionary.items()]
    return [
        "\t".join((tag, vr_choices(entry[0]), entry[1], entry[4])) for tag, entry in sorted(rows) if entry[4]
    ]


def private_lines() -> list[str]:
    """The lines of `private.tsv`."""
    lines = []
    for creator, entries in sorted(private_dictionaries.items()):
        lines.append(f"# {creator}")
        for tag, (vr, vm, name, _) in sorted(entries.items()):
            match = re.fullmatch("([0-9a-f]{4})[0-9a-fx]{2}([0-9a-f]{2})", tag.lower())
            if match:
                lines.append("\t".join((match[1], match[2], vr_choices(vr), vm, private_keyword(name))))
    return lines


def uid_lines() -> list[str]:
    """The lines of `uids.tsv`; UIDs without name are left out."""
    return [
        "\t".join((uid, kind, name, keyword))
        for uid, (name, kind, _, _, keyword) in UID_dictionary.items()
        if name
    ]


def vr_choices(vr: str) -> str:
    """`US or SS` as `US/SS`; delimiters, which have no VR, as `--`."""
    return "--" if vr == "NONE" else vr.replace(" or ", "/")


def private_keyword(name: str) -> str:
    """A description as a keyword, as PS3.6 forms them: words capitalised and joined; empty if it says nothing."""
    if name.lower() in ("unknown", "?", ""):
        return ""
    words = re.findall("[A-Za-z0-9]+", name.replace("'s ", "s "))
    return "".join(word[0].upper() + word[1:] for word in words)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, lines in (
        ("standard.tsv", standard_lines()),
        ("private.tsv", private_lines()),
        ("uids.tsv", uid_lines()),
    ):
        (FOLDER / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(file, len(lines))
