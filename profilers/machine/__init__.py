"""This process and the machine: its time on processors, its standard output, the child processes that it starts."""
