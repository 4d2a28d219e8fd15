"""Handle the winners of a search: their weights, manifests, variants, and the comparison of searches."""
