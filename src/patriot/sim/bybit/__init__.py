"""The Bybit v5 face of the simulator: REST and WebSocket as the venue speaks them."""
