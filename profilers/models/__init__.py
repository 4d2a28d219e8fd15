"""Open a saved model, of whatever format, as a module that can be called; a stranger's file runs no code."""
