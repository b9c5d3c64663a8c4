"""Tests of the DICOM services as provider."""
