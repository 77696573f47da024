"""Exchanges behind the ports of orders, accounts and market."""
