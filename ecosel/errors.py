"""The errors that ecosel raises for outside failures; a wrong argument is a ValueError."""


class ArchiveError(Exception):
    """An archive cannot be read, or its content cannot be used."""
