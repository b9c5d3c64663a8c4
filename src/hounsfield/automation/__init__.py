"""Programs of the hospital inside the server: Lua scripts, with Orthanc's callbacks and functions.

A door: it stands on the registries of `Host`, on events, and asks the server's own routes. It knows no other door.
Entry: `lua_scripts.extend`.
"""
