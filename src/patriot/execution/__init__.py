"""From one signal to one protected order per account."""
