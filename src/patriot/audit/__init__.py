"""Who did what, and whether the log is still the log that was written."""
