"""Binance USD-M Futures behind the ports of orders, accounts and market. What it can do: `capabilities.yaml`."""
