"""Describe networks as genomes: their space, shapes, variation and normal form."""
