"""Derive tables from those in files: computed columns, filtered rows, combined archives."""
