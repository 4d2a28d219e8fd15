"""Power and time of one model on one device."""
