"""Recipes: one file from data to an exported model."""
