"""The demo: the whole of daogou against the simulated shop, measured as the shop sees it."""
