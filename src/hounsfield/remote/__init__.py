"""The other servers we know, DICOM modalities and HTTP peers: who they are, and how they are asked.

Knows nothing of why they are asked: that is for jobs and doors. PS3.4 Annexes A, B, C and K as user. Enter by
`sender.Sender`, `finder.find` and `retriever`; `directory` holds who is known.
"""
