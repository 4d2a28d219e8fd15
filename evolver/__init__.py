"""Genomes in, archive out: the asynchronous genetic search."""
