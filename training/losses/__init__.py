"""Losses, each in the module of its idea."""
