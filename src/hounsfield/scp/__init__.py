"""DICOM services as provider: verification and storage. PS3.4.

A door: it turns DIMSE messages into calls and holds no rules of its own.
"""
