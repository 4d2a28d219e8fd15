"""What ecosel raises when the world fails; a wrong argument is a ValueError."""


class ArchiveError(Exception):
    """An archive cannot be read, or its content cannot be used."""
