"""Tools for the command line: they speak DICOM with other programs, and look into files. No server is needed.

Each module is one command: `add` declares its arguments, `run` does it. What goes wrong is an `ArchiveError`.
"""
