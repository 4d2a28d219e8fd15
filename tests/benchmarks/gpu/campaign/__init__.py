"""Run a search on CIFAR-10 on one GPU, and turn its files into tables: see `__main__`."""
