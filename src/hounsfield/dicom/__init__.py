"""Reading DICOM: tags, character sets, data sets, Part 10 files, identifiers and the JSON forms of a data set.

PS3.5 (encoding), PS3.6 (dictionary), PS3.10 (files). Knows no network, no disk and no index.
Enter by `part10.read_head`, `identifiers.identify` and `json.full`.
"""
