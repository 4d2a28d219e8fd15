"""The commands `ecosel profile`, `energy`, `devices` and `compress`."""
