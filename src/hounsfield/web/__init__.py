"""The pages people look at: the Explorer, built from `web/` at the root of the project, and its server side."""
