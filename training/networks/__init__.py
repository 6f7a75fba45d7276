"""Networks, each in the module of its name.

The module that is named like a bundled model has `from_state(state_dict) -> nn.Module`, which builds the exported
network (uint8 in, uint8 or embedding out) in eval mode from the weights that `export.weights` reads out of its file.
"""
