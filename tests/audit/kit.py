"""A shelf of roots in memory."""


class Shelf:
    """`RootShelf` in a list."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def lines(self) -> list[str]:
        return list(self.kept)

    def add(self, line: str) -> None:
        self.kept.append(line)
