"""What ecosel raises when the world fails; a wrong argument is a ValueError."""


class ArchiveError(Exception):
    """An archive cannot be read, or what it holds cannot be used."""
