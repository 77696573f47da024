"""The life of one order, from the wish to the last fill."""
