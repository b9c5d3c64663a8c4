"""Orthanc's REST API: one module a resource, each with its routes at the top.

A door: it turns HTTP into calls and holds no rules of its own.
"""
