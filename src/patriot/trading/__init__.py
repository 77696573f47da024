"""The trade's own words: what every trading domain, adapter and judge speaks."""
