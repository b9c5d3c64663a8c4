"""HTTP without a resource: messages, routes, dispatch, negotiation, ranges, multipart, authentication, ASGI.

Knows no DICOM. Enter by `dispatch.dispatch`, which scripts use too, and by `asgi.application`.
"""
