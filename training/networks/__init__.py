"""Networks, each in the module of its name."""
