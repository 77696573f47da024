"""The control API of the simulator: accounts, clock, faults and views, as JSON over HTTP."""
