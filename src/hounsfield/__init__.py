"""Hounsfield, a medical-imaging server: it receives, stores, indexes, shows, transforms and sends DICOM."""

__version__ = "0.1.0"
