"""The platform as it is assembled for production, in one seeded process, over a network that is only memory.

`loop` gives time and lives that can be ended, `network` the connections between them.
"""
