"""The winners of a search: their weights, manifests, variants, and how searches compare."""
