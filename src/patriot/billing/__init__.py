"""Performance fees over a high-water mark, and their proof."""
