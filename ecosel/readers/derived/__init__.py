"""What no file holds by itself: columns that are computed, rows that are filtered, archives put together."""
