"""Train, score, measure and export one candidate; the only room that imports torch, and it runs in child processes."""
