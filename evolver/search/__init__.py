"""Decide what to evaluate next, from what was evaluated; the search knows no process, file or clock."""
