"""Read logs of power that people already have, and turn windows of them into joules."""
