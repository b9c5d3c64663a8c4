"""The DICOM upper layer and the DIMSE messages over it, as provider and as user.

PS3.7 and PS3.8. Protocol logic does no I/O: bytes go in, events come out; `server` and `transport` alone touch
sockets. Knows nothing of what a message is for: services are handed to it. Enter by `server.serve` and by
`scu.associate`.
"""
