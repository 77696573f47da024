"""One short module per service; the only code that wires parts together."""
