"""The Bybit v5 face of the simulator: REST and WebSocket in the venue's words, before the common engine."""
