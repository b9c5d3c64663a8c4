"""The configuration: Orthanc's JSON files and environment variables, read into the options of each room.

Nobody below reads configuration. `configuration.load` gives a checked `Configuration`, `records` turn it into the
options of each room, `options.OPTIONS` is the one table behind the checks, `hounsfield config` and the documentation.
"""
