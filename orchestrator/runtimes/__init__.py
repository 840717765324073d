"""How a program is started: in a container (docker) or on this host."""
