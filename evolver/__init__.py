"""Search for networks with an asynchronous genetic algorithm, and fill an archive with what was found.

The rooms, in the order of the flow:

- architectures: genomes, the space they are drawn from, their variation and normal form
- search: ask for the next birth, tell an outcome; knows no process, file or clock
- workers: run a job in a child process, here or on a cluster
- training: train, score and measure one candidate (the only room with torch)
- archive: the one file of a run, and the only module with SQLite
- run: begin or resume a search, and keep every worker busy until its budget is spent
- cli: the command `evolve`
"""
