"""Meet commands with signals, full, slow and vanished disks, jumping clocks and many at once; count what was lost or left."""
