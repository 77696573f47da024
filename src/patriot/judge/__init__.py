"""Judges what happened, from the exchange's books against the log; trusts nothing of ours."""
