"""The whole platform in one seeded process: virtual time, a virtual network, faults at the height of bytes."""
