"""Strategies: what they are, which accounts follow them, and the interface they are written against."""
