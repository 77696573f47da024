"""Faults on demand: what can be asked for, what is in force, and what a client sees of it."""
