"""What exported graphs promise, of recipes that export several."""
