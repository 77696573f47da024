"""The pure venue engine behind the ports of orders and accounts, without a socket: for the deterministic simulation."""
