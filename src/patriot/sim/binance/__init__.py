"""The Binance face: the wire protocol of USD-M Futures, REST and WebSocket, over the pure engine."""
