"""Bars, prices and instruments as the venues publish them."""
