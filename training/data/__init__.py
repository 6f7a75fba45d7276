"""Data sets, what is set aside from them, and what is drawn from them."""
