"""Decide what to evaluate next from the outcomes so far; the search knows no process, file or clock."""
