"""Exchange accounts that clients linked: their keys, their status, their consent."""
