"""The training package: recipes, networks, losses, data, metrics and the engine that turns them into runs."""
