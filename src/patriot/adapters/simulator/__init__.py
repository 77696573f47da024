"""The way to the simulator's control API."""
