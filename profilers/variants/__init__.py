"""Make smaller and faster variants of a saved model, verify them, and measure them against their parent."""
