"""Write the colour palettes of PS3.6 Annex B as the server reads them: `python3 tools/make_colour_maps.py`.

They are taken from the palette files that come with pydicom, which are the standard's own.
"""

from pathlib import Path

import pydicom.data

from hounsfield.dicom.part10 import read_whole
from hounsfield.imaging.tables import read_palette

TARGET = Path(__file__).parents[1] / "src" / "hounsfield" / "imaging" / "colour_maps.tsv"
PALETTES = {
    "hot-iron": "hotiron",
    "pet": "pet",
    "hot-metal-blue": "hotmetalblue",
    "pet-20-step": "pet20step",
    "spring": "spring",
    "summer": "summer",
    "fall": "fall",
    "winter": "winter",
}


def main() -> None:
    lines = ["# PS3.6 Annex B: name, SOP Instance UID, 256 colours as RRGGBB. By tools/make_colour_maps.py."]
    for name, file in PALETTES.items():
        path = Path(pydicom.data.__file__).parent / "palettes" / f"{file}.dcm"
        dataset = read_whole(path.read_bytes()).dataset
        palette = read_palette(dataset)
        assert palette is not None, name
        channels = [each.values for each in (palette.red, palette.green, palette.blue)]
        assert {len(each) for each in channels} == {256}, name
        colours = "".join(f"{r:02x}{g:02x}{b:02x}" for r, g, b in zip(*channels, strict=True))
        lines.append(f"{name}\t{dataset.get('SOPInstanceUID')}\t{colours}")
    TARGET.write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
