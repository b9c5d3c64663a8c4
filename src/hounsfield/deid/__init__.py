"""Changing instances: modification, and de-identification by the Basic Application Level Confidentiality Profile.

It knows data sets, neither files nor the index. PS3.15 Annex E. Enter by `request.read_request` and `apply.apply`.
"""
