"""The options of Orthanc and our own, a module a chapter. Data only; `options` puts them together."""
