"""Where everything is put together and started: command line, wiring, embedded cluster, simulated shop."""
