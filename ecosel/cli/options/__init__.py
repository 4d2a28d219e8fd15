"""The options that commands share: what they mean, how they are listed in help, and how the shell completes them."""
