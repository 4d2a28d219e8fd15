"""This process and the machine: its time on processors, and the child processes that it starts."""
