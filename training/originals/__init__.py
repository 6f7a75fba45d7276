"""What the authors of a system left, checkpoints and configurations, told in the names of its recipe."""
