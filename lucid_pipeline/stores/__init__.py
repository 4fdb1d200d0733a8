"""Where things are kept: ports, and the adapters that stand beside them."""
