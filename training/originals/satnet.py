"""Files of the original SATNet and of MUNIT (github.com/yujiachen-y/experiments_on_face_photo2drawing, NVlabs/MUNIT).

Checkpoints are `gen_NNNNNNNN.pt` and `dis_NNNNNNNN.pt`, each {"a": state, "b": state}, a being drawings and b photos.
The configuration is a YAML file, read by the tables below. All of it is in facts: names, shapes, and what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from training.data.sources import DRAWING, PHOTO
from training.engine.checkpoint import Tensors
from training.engine.errors import CheckpointError, RecipeError
from training.engine.foreign import flattened
from training.networks.satnet import STYLE_HALVINGS

DOMAINS = {"a": DRAWING, "b": PHOTO}
DROPPED = ("running_mean", "running_var", "num_batches_tracked")
"""Statistics that old versions of PyTorch saved of normalisations which have none."""
_FIRST, _FIRST_JUDGED = "enc_content.model.0.conv.weight", "cnns.0.0.conv.weight"
_AFFINE = "decoder.affine"
_WEIGHT, _LEFT, _RIGHT = (f"parametrizations.weight.{name}" for name in ("original", "0._u", "0._v"))

# Of the configuration. Nested keys have a dot.
PLAIN = {
    "batch_size": "batch",
    "weight_decay": "decay",
    "beta1": "beta1",
    "beta2": "beta2",
    "lr_d": "discriminator_rate",
    "lr_g": "generator_rate",
    "lr_policy": "schedule",
    "gan_w": "adversarial",
    "recon_x_w": "reconstruction",
    "recon_s_w": "style",
    "recon_c_w": "content",
    "recon_x_cyc_w": "cycle",
    "vgg_w": "perceptual",
    "sph_w": "identity",
    "sup_w": "same_identity",
    "gen.dim": "channels",
    "gen.mlp_dim": "mapping",
    "gen.style_dim": "style_size",
    "gen.n_downsample": "halvings",
    "gen.n_res": "blocks",
    "dis.dim": "discriminator_channels",
    "dis.n_layer": "layers",
    "dis.gan_type": "objective",
    "dis.num_scales": "scales",
    "sph.thd": "threshold",
    "sph.model_path": "recogniser",
    "crop_image_height": "height",
    "crop_image_width": "width",
}
"""Keys whose values are those of a setting."""
STEPS = {
    "max_iter": ("images",),
    "image_save_iter": ("sheet", "measure"),  # pictures, and FIDs of them
    "snapshot_save_iter": ("checkpoint",),
    "log_iter": ("report",),
}
"""Keys in steps, for settings in images."""
FIXED = {
    "init": "kaiming",
    "input_dim_a": 3,
    "input_dim_b": 3,
    "gen.activ": "relu",
    "gen.pad_type": "reflect",
    "dis.norm": "sn",
    "dis.activ": "lrelu",
    "dis.pad_type": "reflect",
}
"""Keys of which only one value is known here."""
IGNORED = frozenset(
    {
        "image_display_iter",  # every sheet is kept
        "display_size",
        "sph.classnum",  # the classes are not looked at
        "clear_mode",  # `likeness data reject`
        "num_workers",  # --workers
        "data_root",  # --data
        "afid_path",  # the data are measured with the pictures
        "bfid_path",
    }
)


def settings(configuration: Mapping[str, Any], source: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Settings of the recipe, and the keys that say nothing here. RecipeError names what cannot be had."""
    keys = dict(flattened(configuration))
    known = PLAIN.keys() | STEPS.keys() | FIXED.keys() | IGNORED | {"decay_step", "new_size"}
    if strange := [key for key in keys if key not in known]:
        raise RecipeError(f"{source}: {', '.join(strange)}: no key of SATNet's configuration")
    for key, value in FIXED.items():
        if keys.get(key, value) != value:
            raise RecipeError(f"{source}: {key} can only be {value}, not {keys[key]}")
    found = {setting: keys[key] for key, setting in PLAIN.items() if key in keys}
    batch = _whole(keys, "batch_size", source) if "batch_size" in keys else 1
    for key in STEPS.keys() & keys.keys():
        found |= dict.fromkeys(STEPS[key], batch * _whole(keys, key, source))
    if "decay_step" in keys:
        steps = _whole(keys, "max_iter", source, at_least=1)
        found["falls_after"] = _whole(keys, "decay_step", source) / steps
    if "new_size" in keys:
        shorter = min(_whole(keys, f"crop_image_{side}", source) for side in ("height", "width"))
        found["margin"] = _whole(keys, "new_size", source, at_least=shorter) - shorter
    return found, tuple(key for key in keys if key in IGNORED)


def _whole(keys: Mapping[str, Any], key: str, source: str, at_least: int = 0) -> int:
    value = keys.get(key)
    if not isinstance(value, int) or value < at_least:
        raise RecipeError(f"{source}: {key} must be a whole number, {at_least} or more, not {value}")
    return value


def states(state: Tensors, source: str) -> tuple[dict[str, Any], dict[str, Tensors]]:
    """Settings, and the states of the recipe's generators or discriminators, of the tensors of a file.

    CheckpointError names all keys that are missing or left over.
    """
    state = {key: value for key, value in state.items() if key.rpartition(".")[2] not in DROPPED}
    if f"a.{_FIRST_JUDGED}" in state:
        kind, (knobs, names) = "discriminator", _discriminator(state)
    elif f"a.{_FIRST}" in state:
        kind, (knobs, names) = "generator", _generator(state)
    else:
        raise CheckpointError(f"{source} has neither a.{_FIRST} nor a.{_FIRST_JUDGED}: it is not of SATNet or MUNIT")
    wanted = {f"{letter}.{name}" for letter in DOMAINS for name in names}
    if wrong := sorted(wanted ^ state.keys()):
        told = [f"{'lacks' if key in wanted else 'has'} {key}" for key in wrong]
        raise CheckpointError(f"{source} is not of SATNet or MUNIT: it {', '.join(told)}")
    found = {
        f"{domain}_{kind}": {ours: state[f"{letter}.{theirs}"] for theirs, ours in names.items()}
        for letter, domain in DOMAINS.items()
    }
    return knobs, {name: _split(_folded(tensors)) for name, tensors in found.items()}


def _generator(state: Tensors) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings that its shapes tell, and the names of its tensors: theirs, and ours."""
    content = r"a\.enc_content\.model\."
    halvings = _count(state, content + r"\d+\.conv\.weight") - 1
    blocks = _count(state, content + rf"{halvings + 1}\.model\.\d+\.model\.0\.conv\.weight")
    attention = _count(state, content + r"\d+\.gamma") > 0
    mapping, style = state["a.mlp.model.0.fc.weight"].shape if "a.mlp.model.0.fc.weight" in state else (0, 0)
    knobs = {
        "channels": len(state[f"a.{_FIRST}"]),
        "halvings": halvings,
        "blocks": blocks,
        "attention": attention,
        "style_size": style,
        "mapping": mapping,
    }
    names = {
        **_content(halvings, blocks, attention),
        **_style(),
        **_decoder(halvings, blocks, attention),
    }
    return knobs, names


def _content(halvings: int, blocks: int, attention: bool) -> dict[str, str]:
    theirs, behind, names = "enc_content.model", halvings + 1, dict[str, str]()
    for number in range(behind):
        names |= _plain(f"{theirs}.{number}.conv", f"content.{3 * number}")
    for number in range(blocks):
        names |= _residual(f"{theirs}.{behind}.model.{number}", f"content.{3 * behind + number}")
    if attention:
        names |= _attention(f"{theirs}.{behind + 1}", f"content.{3 * behind + blocks}")
        names |= _residual(f"{theirs}.{behind + 2}", f"content.{3 * behind + blocks + 1}")
    return names


def _style() -> dict[str, str]:
    names, behind = dict[str, str](), STYLE_HALVINGS + 1
    for number in range(behind):
        names |= _plain(f"enc_style.model.{number}.conv", f"style.{2 * number}")
    return names | _plain(f"enc_style.model.{behind + 1}", f"style.{2 * behind + 1}")


def _decoder(halvings: int, blocks: int, attention: bool) -> dict[str, str]:
    names = dict[str, str]()
    for number, layer in enumerate(("decoder.mapping.0", "decoder.mapping.2", _AFFINE)):
        names |= _plain(f"mlp.model.{number}.fc", layer)
    for number in range(blocks):
        names |= _residual(f"dec.model.0.model.{number}", f"decoder.blocks.{number}")
    if attention:
        names |= _attention("dec.model.1", "decoder.attention") | _residual("dec.model.2", "decoder.last")
    behind = 3 if attention else 1
    for number in range(halvings):
        theirs = f"dec.model.{behind + 2 * number + 1}"  # what is before it makes it larger, and has no tensors
        names |= _plain(f"{theirs}.conv", f"decoder.up.{4 * number + 1}")
        names |= {f"{theirs}.norm.gamma": f"decoder.up.{4 * number + 2}.gain"}
        names |= {f"{theirs}.norm.beta": f"decoder.up.{4 * number + 2}.shift"}
    return names | _plain(f"dec.model.{behind + 2 * halvings}.conv", f"decoder.up.{4 * halvings}")


def _discriminator(state: Tensors) -> tuple[dict[str, Any], dict[str, str]]:
    """As `_generator`."""
    scales = _count(state, r"a\.cnns\.\d+\.0\.conv\.weight")
    layers = _count(state, r"a\.cnns\.0\.\d+\.conv\.(module\.)?bias")
    attention = _count(state, r"a\.cnns\.0\.\d+\.gamma") > 0
    spectral = _count(state, r"a\.cnns\.0\.\d+\.conv\.module\.bias") > 0
    knobs = {
        "discriminator_channels": len(state[f"a.{_FIRST_JUDGED}"]),
        "layers": layers,
        "scales": scales,
        "attention": attention,
        "spectral": spectral,
    }
    names = dict[str, str]()
    for scale in range(scales):
        theirs, view = f"cnns.{scale}", f"views.halved_{scale}"
        trunk = f"{view}.trunk.0" if attention else f"{view}.trunk"
        for number in range(layers):
            name = _normalised if spectral and number else _plain
            names |= name(f"{theirs}.{number}.conv", f"{trunk}.{2 * number}")
        if attention:
            names |= _attention(f"{theirs}.{layers}", f"{view}.trunk.1")
        names |= _plain(f"{theirs}.{layers + attention}", f"{view}.heads.patch")
    return knobs, names


def _residual(theirs: str, ours: str) -> dict[str, str]:
    return _plain(f"{theirs}.model.0.conv", f"{ours}.first") | _plain(f"{theirs}.model.1.conv", f"{ours}.second")


def _attention(theirs: str, ours: str) -> dict[str, str]:
    names = {f"{theirs}.gamma": f"{ours}.strength"}
    for letter, layer in (("f", "query"), ("g", "key"), ("k", "value")):
        names |= _normalised(f"{theirs}.{letter}_conv", f"{ours}.{layer}")
    return names


def _plain(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}.{kind}": f"{ours}.{kind}" for kind in ("weight", "bias")}


def _normalised(theirs: str, ours: str) -> dict[str, str]:
    """A layer of spectral norm 1, with the two vectors that its norm is estimated by."""
    names = {"weight_bar": _WEIGHT, "weight_u": _LEFT, "weight_v": _RIGHT, "bias": "bias"}
    return {f"{theirs}.module.{their}": f"{ours}.{our}" for their, our in names.items()}


def _count(state: Tensors, pattern: str) -> int:
    return sum(re.fullmatch(pattern, key) is not None for key in state)


def _folded(state: Tensors) -> Tensors:
    """With weights divided by their norm as the file has estimated it, and a strength that is a number."""
    found = dict(state)
    for key, value in state.items():
        layer, _, kind = key.partition(f".{_WEIGHT}")
        if key.endswith(_WEIGHT) and not kind:
            left, right = (state[f"{layer}.{name}"].flatten() for name in (_LEFT, _RIGHT))
            found |= {key: value / (left @ value.flatten(1) @ right), f"{layer}.{_LEFT}": left}
            found[f"{layer}.{_RIGHT}"] = right
        elif key.endswith(".strength"):
            found[key] = value.reshape(())
    return found


def _split(state: Tensors) -> Tensors:
    """With a layer for each shift and gain of AdaIN, which are in this order the rows of theirs."""
    found = {key: value for key, value in state.items() if not key.startswith(_AFFINE)}
    norms = [
        f"{key.removesuffix('first.weight')}norm_{half}"
        for key in found
        if key.startswith("decoder.") and key.endswith("first.weight")
        for half in ("first", "second")
    ]
    for kind in ("weight", "bias"):
        if f"{_AFFINE}.{kind}" in state:
            # Too few or too small ones are told by name when the networks get them.
            parts = state[f"{_AFFINE}.{kind}"].chunk(2 * len(norms))
            for norm, shift, gain in zip(norms, parts[::2], parts[1::2], strict=False):
                found |= {f"{norm}.affine.shift.{kind}": shift, f"{norm}.affine.gain.{kind}": gain}
    return found
