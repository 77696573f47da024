"""The page of the simulator, one self-contained file."""
