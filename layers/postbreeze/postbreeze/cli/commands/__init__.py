"""One file for each noun; every function in them is a command."""
