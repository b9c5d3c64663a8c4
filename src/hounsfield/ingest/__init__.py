"""The only way in: filters, overwriting, storing, indexing, recycling, stability, and recovery at start-up.

C-STORE, uploads, scripts and jobs all enter by `receive.receive`.
"""
