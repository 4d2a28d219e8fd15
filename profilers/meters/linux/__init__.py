"""Meters that Linux shows as files or by a command: hwmon chips, SCMI zones, batteries, the PMIC of a Raspberry Pi 5."""
