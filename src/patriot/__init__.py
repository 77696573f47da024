"""PATRIOT: one signal becomes N safe orders on N clients' own exchange accounts."""
