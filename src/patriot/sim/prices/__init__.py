"""Where prices come from: recorded dumps of the venue, or a seeded model. No sockets, no clock."""
