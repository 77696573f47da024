"""Limits, reservations and halts: what may be traded at all."""
