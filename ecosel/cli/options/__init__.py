"""The options that commands share: their meaning, their place in --help, and their completion in a shell."""
