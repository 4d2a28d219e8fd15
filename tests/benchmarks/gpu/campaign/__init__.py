"""Drive a search on CIFAR-10 on one GPU, and turn what it left into tables: see `__main__`."""
