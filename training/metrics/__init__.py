"""Metrics, each with the source of its definition."""
