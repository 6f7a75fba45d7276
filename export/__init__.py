"""The seam between training and service: what a model file promises, where it lies, how a face is cut for it."""
