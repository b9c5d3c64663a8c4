"""Tests of the upper layer and DIMSE."""
