"""Looking after an archive: comparing the index with the files, and making the index again from the files alone.

Nothing here is needed while the server works. Entry functions: `verify.verify`, `rebuild.rebuild`.
"""
