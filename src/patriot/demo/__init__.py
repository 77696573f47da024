"""The main job on recorded prices, judged at its end."""
