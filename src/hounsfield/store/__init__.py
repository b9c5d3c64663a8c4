"""Where bytes are kept: storage areas, and the spool where large incoming bytes wait.

Knows no DICOM and no index. Enter by `area.StorageArea`; what survives a power cut is said there.
"""
