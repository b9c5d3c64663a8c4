"""The data dictionary of PS3.6 and the known private attributes.

The tables are written by `tools/make_dictionary.py` and never edited. Enter by `lookup`.
"""
