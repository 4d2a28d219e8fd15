"""Open a saved model of any supported format as a callable module; a stranger's file runs no code."""
