"""DICOM services as provider: storage, query, retrieval, worklist, performed steps, storage commitment. PS3.4.

A door: it turns DIMSE messages into calls and holds no rules of its own.
"""
