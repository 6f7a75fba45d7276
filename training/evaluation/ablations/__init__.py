"""What each part of SATNet-R is worth: variants of one recipe, trained and judged alike."""
