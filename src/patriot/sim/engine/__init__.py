"""The venue itself, pure: accounts, orders, matching, margin, funding, liquidation. No I/O, no clock, no chance."""
