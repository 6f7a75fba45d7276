"""export.contract: round trip through metadata, refusal of what it does not know, requests to tensors."""

import json
from dataclasses import replace

import numpy as np
import pytest

from export.alignment import SPHEREFACE, SQUARE_256
from export.contract import METADATA_KEY, Contract, ContractError, Control, ControlError

STRENGTH = Control("strength", (), 0.0, 3.0, 1.0, "how far to exaggerate")
STYLE = Control("style", (2,), None, None, (0.5, -0.5), "the hand that draws")
TRANSLATOR = Contract(
    role="translator",
    template=SQUARE_256,
    controls=(STRENGTH, STYLE),
    styles={"ink": (0.5, -0.5), "oil": (1.0, 2.0)},
    output="image",
    output_shape=(256, 256, 3),
    notice="Research only",
    data=("train-clean",),
    parity={"image": 1.0},
    provenance={"recipe": "caricature"},
)
ENCODER = Contract("encoder", SPHEREFACE, (), {}, "embedding", (512,), thresholds={"0.01": 0.31})
LATENT = Control("z", (3,), None, None, (0.0, 0.0, 0.0), "who")
MIXED, CROSSOVER = replace(LATENT, name="z2"), Control("crossover", (), 0.0, 6.0, 6.0, "from where on z2")
GENERATOR = Contract("generator", None, (LATENT, MIXED, CROSSOVER), {}, "image", (64, 64, 3))

SEVEN = [-1.4035643339, 0.8484194875, 1.3086802959]  # of Philox(7)

IMAGE = np.full((256, 256, 3), 7, np.uint8)
INPUTS = [
    ("image", "tensor(uint8)", ["batch", 256, 256, 3]),
    ("strength", "tensor(float)", ["batch"]),
    ("style", "tensor(float)", [None, 2]),
]
OUTPUTS = [("image_out", "tensor(uint8)", ["batch", 256, 256, 3])]


def document(contract=TRANSLATOR):
    """The contract's JSON as a dict."""
    return json.loads(contract.to_metadata()[METADATA_KEY])


def read(changed):
    """A contract from a changed JSON document."""
    return Contract.from_metadata({METADATA_KEY: json.dumps(changed)}, "file.onnx")


@pytest.mark.parametrize("contract", [TRANSLATOR, ENCODER, GENERATOR])
def test_round_trip(contract):
    """Written to metadata and read back, a contract is equal to itself."""
    assert Contract.from_metadata(contract.to_metadata(), "file.onnx") == contract


@pytest.mark.parametrize("format", [0, 2, "1", None])
def test_an_unknown_format_is_refused_by_file_name(format):
    """A contract of any other format is refused with the name of its file."""
    with pytest.raises(ContractError, match=r"file\.onnx.*format"):
        read({**document(), "format": format})


def test_unknown_and_missing_keys_are_refused():
    """A key too many or too few is an error, not a guess."""
    with pytest.raises(ContractError, match="flavour"):
        read({**document(), "flavour": 1})
    short = document()
    del short["licence"]
    with pytest.raises(ContractError, match="licence"):
        read(short)
    with pytest.raises(ContractError, match=r"file\.onnx"):
        Contract.from_metadata({}, "file.onnx")
    with pytest.raises(ContractError, match=r"file\.onnx"):
        Contract.from_metadata({METADATA_KEY: "{"}, "file.onnx")
    with pytest.raises(ContractError, match=r"file\.onnx"):
        Contract.from_metadata({METADATA_KEY: "[]"}, "file.onnx")


@pytest.mark.parametrize(
    "change",
    [
        {"role": "oracle"},
        {"role": "generator"},
        {"template": None},
        {"output": "embedding"},
        {"output_shape": (256, 256)},
        {"controls": (STRENGTH, STRENGTH)},
        {"controls": (replace(STRENGTH, name="image"),), "styles": {}},
        {"controls": (replace(STRENGTH, default=4.0), STYLE)},
        {"controls": (STRENGTH,)},
        {"styles": {"oil": (1.0, 2.0), "ink": (0.5, -0.5)}},
        {"styles": {"ink": (0.5, -0.5, 1.0)}},
    ],
)
def test_contradictions_are_refused(change):
    """A contract that contradicts itself cannot be made."""
    with pytest.raises(ContractError):
        replace(TRANSLATOR, **change)


@pytest.mark.parametrize(
    "controls",
    [
        (),
        (replace(LATENT, name="noise"),),
        (LATENT, MIXED),
        (LATENT, CROSSOVER),
        (LATENT, replace(MIXED, shape=(2,), default=(0.0, 0.0)), CROSSOVER),
        (LATENT, MIXED, replace(CROSSOVER, shape=(1,), default=(6.0,))),
    ],
)
def test_a_generator_has_z_and_all_that_mixing_takes_or_nothing_of_it(controls):
    """z2 without crossover, or of another shape, is refused, as is a generator that is of nothing."""
    with pytest.raises(ContractError):
        replace(GENERATOR, controls=controls)
    assert replace(GENERATOR, controls=(LATENT,)).role == "generator"


def test_z_of_a_seed_is_the_same_for_ever():
    """The documented numbers: a NumPy that drew others would change every face that anybody has the seed of."""
    drawn = GENERATOR.draw_latent(7)
    assert drawn.dtype == np.float32 and drawn.tolist() == pytest.approx(SEVEN, rel=1e-6)
    np.testing.assert_array_equal(GENERATOR.draw_latent(7), drawn)
    assert not np.array_equal(GENERATOR.draw_latent(2**63 - 1), drawn)


def test_z_is_normal_or_uniform_by_its_range():
    """An open range is N(0, 1), a closed one uniform in it."""
    wide = Control("z", (10_000,), None, None, (0.0,) * 10_000, "who")
    normal = replace(GENERATOR, controls=(wide,)).draw_latent(0)
    assert abs(normal.mean()) < 0.05 and abs(normal.std() - 1) < 0.05
    uniform = replace(GENERATOR, controls=(replace(wide, low=-1.0, high=1.0),)).draw_latent(0)
    assert np.abs(uniform).max() <= 1 and abs(uniform.std() - 3**-0.5) < 0.05


def test_a_graph_that_agrees_passes():
    """Equal names, types and shapes with a dynamic batch are accepted."""
    TRANSLATOR.check(INPUTS, OUTPUTS, "file.onnx")


@pytest.mark.parametrize(
    "inputs, outputs",
    [
        (INPUTS[:2], OUTPUTS),
        (INPUTS[::-1], OUTPUTS),
        ([("image", "tensor(float)", ["b", 256, 256, 3]), *INPUTS[1:]], OUTPUTS),
        ([("image", "tensor(uint8)", ["b", 3, 256, 256]), *INPUTS[1:]], OUTPUTS),
        ([("image", "tensor(uint8)", [1, 256, 256, 3]), *INPUTS[1:]], OUTPUTS),
        (INPUTS, [("picture", "tensor(uint8)", ["b", 256, 256, 3])]),
        (INPUTS, [*OUTPUTS, ("flow", "tensor(float)", ["b", 2])]),
    ],
)
def test_a_graph_that_disagrees_is_refused(inputs, outputs):
    """A missing, reordered, retyped, reshaped or extra port, or a fixed batch, is refused with the file's name."""
    with pytest.raises(ContractError, match=r"file\.onnx"):
        TRANSLATOR.check(inputs, outputs, "file.onnx")


def test_feed_fills_defaults_and_keeps_rows_apart():
    """Row i holds image i and request i; what was not asked for takes its default."""
    feed = TRANSLATOR.feed([IMAGE, IMAGE + 1], [{}, {"strength": 2, "style": "oil"}])
    assert {name: (value.dtype, value.shape) for name, value in feed.items()} == {
        "image": (np.uint8, (2, 256, 256, 3)),
        "strength": (np.float32, (2,)),
        "style": (np.float32, (2, 2)),
    }
    assert feed["strength"].tolist() == [1, 2]
    assert feed["style"].tolist() == [[0.5, -0.5], [1, 2]]
    assert feed["image"][1, 0, 0, 0] == 8


@pytest.mark.parametrize(
    "request_",
    [
        {"strength": float("nan")},
        {"strength": float("inf")},
        {"strength": 3.01},
        {"strength": -0.01},
        {"strength": 1e40},
        {"strength": 10**400},
        {"strength": None},
        {"strength": [1.0]},
        {"strength": "much"},
        {"style": [1.0]},
        {"style": "charcoal"},
        {"style": [float("nan"), 0]},
        {"colour": 1.0},
    ],
)
def test_bad_values_are_refused(request_):
    """Not finite, out of range, misshapen or unknown: ControlError names the control."""
    with pytest.raises(ControlError) as error:
        TRANSLATOR.feed([IMAGE], [request_])
    assert error.value.control == next(iter(request_))


def test_a_crop_of_another_size_is_refused():
    """Only images of the template's size enter a feed."""
    with pytest.raises(ContractError):
        TRANSLATOR.feed([IMAGE[:-1]], [{}])
    with pytest.raises(ContractError):
        TRANSLATOR.feed([IMAGE], [{}, {}])


def test_images_come_out_as_rows():
    """An image output is split into its rows, anything else refused."""
    rows = TRANSLATOR.images(np.stack([IMAGE, IMAGE + 1]))
    assert [row[0, 0, 0] for row in rows] == [7, 8]
    with pytest.raises(ContractError):
        TRANSLATOR.images(np.zeros((1, 256, 256, 3), np.float32))


def test_a_style_that_is_read_is_taken_where_it_fits():
    """By a control `style` of the same size, brought within its range; what does not read styles has none to give."""
    reader = replace(ENCODER, role="style", output="style", output_shape=(2,))
    assert TRANSLATOR.takes_style_of(reader)
    assert not TRANSLATOR.takes_style_of(replace(reader, output_shape=(3,))) and not TRANSLATOR.takes_style_of(ENCODER)
    assert not replace(TRANSLATOR, controls=(STRENGTH,), styles={}).takes_style_of(reader)
    near = replace(STYLE, low=-1.0, high=1.0, default=(0.0, 0.0)).nearest([0.5, 7])
    assert near.tolist() == [0.5, 1] and near.dtype == np.float32 and STYLE.nearest([0.5, 7]).tolist() == [0.5, 7]


def test_seed_zero_is_the_default_style_and_others_draw():
    """Seed 0 gives the default; each other seed its own vector, the same every time."""
    assert TRANSLATOR.draw_style(0).tolist() == [0.5, -0.5]
    assert TRANSLATOR.draw_style(1).tolist() == TRANSLATOR.draw_style(1).tolist()
    assert TRANSLATOR.draw_style(1).tolist() != TRANSLATOR.draw_style(2).tolist()
    with pytest.raises(ControlError):
        ENCODER.draw_style(1)
