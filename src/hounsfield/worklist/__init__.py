"""The modality worklist: what is scheduled, and how a query is matched against it. PS3.4 Annex K.

Knows no door. `entries` keeps the entries, in a folder of files that other programs write too or in the index;
`matching` answers queries.
"""
