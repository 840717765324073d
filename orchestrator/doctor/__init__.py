"""`benchdock doctor`: checks of this machine, and a command that fixes each problem."""
