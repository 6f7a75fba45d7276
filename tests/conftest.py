"""Tiny models that obey the contract, a repository of them, and pictures of faces."""

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from fastapi.testclient import TestClient

from export.alignment import SPHEREFACE, SQUARE_256
from export.contract import Contract, Control
from export.repository import publish
from service.main import create_app
from service.settings import Settings

ASSETS = Path(__file__).parent / "assets"
BUNDLED = Path(__file__).parents[1] / "models"

TRANSLATOR = Contract(
    role="translator",
    template=SQUARE_256,
    controls=(
        Control("strength", (), 0.0, 3.0, 1.0, "0 leaves the picture, 1 inverts it"),
        Control("style", (2,), None, None, (0.0, 0.0), "brightness in steps of 20 levels, and nothing"),
        Control("warmth", (), -1.0, 1.0, 0.0, "a control that no code of the service knows"),
    ),
    styles={"plain": (0.0, 0.0), "bright": (1.5, 0.0)},
    output="image",
    output_shape=(256, 256, 3),
    notice="A toy: for tests only.",
)
ENCODER = Contract(
    "encoder", SPHEREFACE, (), {}, "embedding", (512,), thresholds={"0.01": 0.9, "0.001": 0.95}, notice="A toy."
)
STYLE_READER = Contract("style", SQUARE_256, (), {}, "style", (2,), notice="A toy.")
GENERATOR = Contract(
    role="generator",
    template=None,
    controls=(
        Control("z", (4,), None, None, (0.0,) * 4, "A number of each column"),
        Control("z2", (4,), None, None, (0.0,) * 4, "Of the columns from `crossover` on"),
        Control("crossover", (), 0.0, 4.0, 4.0, "The first column that is of `z2`"),
        Control("truncation", (), 0.0, 1.0, 0.7, "How far from grey"),
    ),
    styles={},
    output="image",
    output_shape=(4, 4, 3),
    notice="A toy: for tests only.",
)


# What a drawing is: x + strength (255 - 2 x) + 20 style[0] + 20 warmth on red, clipped.
TRANSLATOR_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
toy (uint8[batch,256,256,3] image, float[batch] strength, float[batch,2] style, float[batch] warmth)
    => (uint8[batch,256,256,3] image_out)
<int64[4] row = {-1, 1, 1, 1}, int64[1] first = {0},
 float two = {2.0}, float white = {255.0}, float black = {0.0}, float level = {20.0},
 float[1,1,1,3] red = {20.0, 0.0, 0.0}>
{
    x = Cast<to = 1>(image)
    doubled = Mul(two, x)
    direction = Sub(white, doubled)
    s = Reshape(strength, row)
    step = Mul(s, direction)
    moved = Add(x, step)
    b = Gather<axis = 1>(style, first)
    steps = Reshape(b, row)
    brightness = Mul(level, steps)
    lit = Add(moved, brightness)
    w = Reshape(warmth, row)
    tint = Mul(w, red)
    warm = Add(lit, tint)
    clipped = Clip(warm, black, white)
    image_out = Cast<to = 2>(clipped)
}
"""
# What an embedding is: the picture in blocks of 8 x 8, less its mean, of unit length.
ENCODER_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
toy (uint8[batch,112,96,3] image) => (float[batch,512] embedding)
<int64[6] blocks = {-1, 14, 8, 12, 8, 3}, int64[2] within = {2, 4}, int64[2] flat = {-1, 504}, int64[1] all = {1},
 int64[4] pads = {0, 0, 0, 8}>
{
    x = Cast<to = 1>(image)
    cut = Reshape(x, blocks)
    means = ReduceMean<keepdims = 0>(cut, within)
    vector = Reshape(means, flat)
    mean = ReduceMean(vector, all)
    centred = Sub(vector, mean)
    padded = Pad(centred, pads)
    embedding = LpNormalization<axis = 1, p = 2>(padded)
}
"""

# What a style is: the mean of red, and that of blue, in steps of 51 levels.
STYLE_READER_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
toy (uint8[batch,256,256,3] image) => (float[batch,2] style)
<int64[2] frame = {1, 2}, int64[2] chosen = {0, 2}, float level = {51.0}>
{
    x = Cast<to = 1>(image)
    means = ReduceMean<keepdims = 0>(x, frame)
    both = Gather<axis = 1>(means, chosen)
    style = Div(both, level)
}
"""

# What a face is: columns of 128 + 40 truncation (z, from crossover on z2), clipped.
GENERATOR_GRAPH = """
<ir_version: 10, opset_import: ["" : 18]>
toy (float[batch,4] z, float[batch,4] z2, float[batch] crossover, float[batch] truncation)
    => (uint8[batch,4,4,3] image_out)
<int64[2] column = {-1, 1}, int64[4] row = {-1, 1, 4, 1}, int64[4] shape = {1, 4, 4, 3},
 float[1,4] number = {0.0, 1.0, 2.0, 3.0}, float level = {40.0}, float grey = {128.0}, float white = {255.0},
 float black = {0.0}>
{
    c = Reshape(crossover, column)
    mixed = GreaterOrEqual(number, c)
    w = Where(mixed, z2, z)
    t = Reshape(truncation, column)
    near = Mul(t, w)
    step = Mul(near, level)
    lit = Add(step, grey)
    clipped = Clip(lit, black, white)
    columns = Reshape(clipped, row)
    picture = Expand(columns, shape)
    image_out = Cast<to = 2>(picture)
}
"""


def onnx_file(text: str, contract: Contract) -> bytes:
    """The ONNX file of a graph in ONNX's text form, with the contract in its metadata."""
    model = onnx.parser.parse_model(text)
    onnx.helper.set_model_props(model, contract.to_metadata())
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="session", name="translator_file")
def translator_file_() -> bytes:
    """A toy translator that inverts colours."""
    return onnx_file(TRANSLATOR_GRAPH, TRANSLATOR)


@pytest.fixture(scope="session", name="encoder_file")
def encoder_file_() -> bytes:
    """A toy encoder that compares coarse pictures."""
    return onnx_file(ENCODER_GRAPH, ENCODER)


@pytest.fixture(scope="session", name="style_reader_file")
def style_reader_file_() -> bytes:
    """A toy that reads how red and how blue a drawing is."""
    return onnx_file(STYLE_READER_GRAPH, STYLE_READER)


@pytest.fixture(scope="session", name="generator_file")
def generator_file_() -> bytes:
    """A toy generator that paints columns of grey."""
    return onnx_file(GENERATOR_GRAPH, GENERATOR)


@pytest.fixture(scope="session", name="models")
def models_(tmp_path_factory: pytest.TempPathFactory, translator_file: bytes, encoder_file: bytes) -> Path:
    """A repository of the toys and the bundled landmarks."""
    root = tmp_path_factory.mktemp("models")
    publish(root, "caricature", 1, {"model.onnx": translator_file})
    publish(root, "sphereface", 1, {"model.onnx": encoder_file})
    (root / "landmarks").symlink_to(BUNDLED / "landmarks")
    return root


@pytest.fixture(scope="session", name="settings")
def settings_(models: Path) -> Settings:
    """Settings that serve the toys."""
    return Settings(models=models, log_level="error")


@pytest.fixture(scope="session", name="client")
def client_(settings: Settings) -> Iterator[TestClient]:
    """A client of one running application, shared by all tests that do not change it."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session", name="photo")
def photo_() -> bytes:
    """A person, neutral."""
    return (ASSETS / "person1-neutral.jpg").read_bytes()


@pytest.fixture(scope="session", name="smiling")
def smiling_() -> bytes:
    """The same person, smiling."""
    return (ASSETS / "person1-smiling.jpg").read_bytes()


@pytest.fixture(scope="session", name="stranger")
def stranger_() -> bytes:
    """Another person."""
    return (ASSETS / "person2-neutral.jpg").read_bytes()
