"""The commands `ecosel profile` and `ecosel devices`."""
