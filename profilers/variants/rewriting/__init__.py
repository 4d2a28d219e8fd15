"""Rewrite a network into one that computes the same, or nearly the same, with fewer operations or smaller weights."""
