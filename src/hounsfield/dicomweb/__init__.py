"""DICOM over the Web: searching. PS3.18.

A door: it turns requests into queries of the index, and knows no rules of its own. Enter by `extension.extend`.
"""
