"""The only code that opens a socket, beside the faces of sim. Each adapter implements a port of a domain."""
