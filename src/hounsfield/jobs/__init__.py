"""Work that takes longer than a request: it waits its turn, tells how far it is, and survives a restart.

A kind of job is a record (`kinds.JobKind`) whose `run` is a generator; `engine.Engine` runs jobs of all kinds. The
registry is a table of the index, so that every node that shares the index sees the jobs of all. Knows no HTTP.
"""
