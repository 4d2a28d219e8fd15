"""Read meters that Linux exposes as files or by a command: hwmon chips, SCMI zones, batteries, a Raspberry Pi 5's PMIC."""
