"""The only way out: files, data sets and frames of what is stored."""
