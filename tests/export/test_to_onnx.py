from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from export import precision
from export.alignment import Template
from export.contract import Contract, ContractError, Control
from export.parity import ParityError, compare, draw_feed, open_session
from export.precision import STORED, rounded
from export.to_onnx import ExportError, export_model
from export.weights import load_state

SIDE = 32
TEMPLATE = Template(SIDE, SIDE, ((10, 12), (22, 12), (16, 18), (11, 24), (21, 24)))
STRENGTH = Control("strength", (), 0.0, 3.0, 1.0, "how far")


def contract(role="translator", controls=(STRENGTH,)):
    output, shape = {"translator": ("image", (SIDE, SIDE, 3)), "encoder": ("embedding", (8,))}[role]
    return Contract(role, TEMPLATE, tuple(controls), {}, output, shape)


class Warp(nn.Module):
    """All that a translator needs of the exporter: normalisation layers, resizing, a basis as a buffer, GridSample."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.instance = nn.InstanceNorm2d(8, affine=True)
        self.slope = nn.PReLU(8)
        self.head = nn.Linear(8, 2, bias=False)
        self.register_buffer("basis", torch.randn(1, 2, 4, 4))

    def forward(self, image, strength):
        colours = image.permute(0, 3, 1, 2).float()
        code = self.head(self.slope(self.instance(self.norm(self.conv(colours / 255)))).amax((2, 3)))
        flow = self.basis * (code * strength[:, None])[:, :, None, None] * 0.05
        flow = functional.interpolate(flow, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        still = functional.affine_grid(torch.eye(2, 3)[None], [1, 1, SIDE, SIDE], align_corners=False)
        grid = still + flow.permute(0, 2, 3, 1)
        warped = functional.grid_sample(colours, grid, padding_mode="border", align_corners=False)
        return warped.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1)


class Embed(nn.Module):
    """An encoder of one layer."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(SIDE * SIDE * 3, 8)

    def forward(self, image):
        return functional.normalize(self.project(image.float().flatten(1) / 255))


@pytest.fixture
def warp():
    torch.manual_seed(0)
    module = Warp()
    module.norm.running_mean.uniform_(-1, 1)
    module.norm.running_var.uniform_(0.5, 2)
    return module.eval()


def test_the_graph_equals_the_network_and_says_so(warp, tmp_path):
    """The file carries its contract with the measured parity, runs at any batch, and gives the network's pixels.

    It says nothing of the folders that it was exported from.
    """
    written = export_model(warp, contract(), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    read = Contract.from_metadata(session.get_modelmeta().custom_metadata_map, "model.onnx")
    assert read == written
    assert str(Path(__file__).parent).encode() not in (tmp_path / "model.onnx").read_bytes()
    assert set(read.parity) == {"batch_1", "batch_2", "batch_5", "row"}
    feed = draw_feed(contract(), rows=3, seed=7)
    (found,) = session.run(["image_out"], feed)
    expected = warp(*map(torch.from_numpy, feed.values())).numpy()
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("stored", STORED)
def test_initialisers_are_the_state_of_the_network(warp, tmp_path, stored):
    """load_state gives every parameter and buffer back under its torch name: exactly, or rounded to what is stored."""
    export_model(warp, contract(), tmp_path / "model.onnx", stored=stored)
    state, expected = load_state(tmp_path / "model.onnx"), rounded(warp, stored).state_dict()
    del expected["norm.num_batches_tracked"]
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert state[name].dtype == torch.float32 and torch.equal(state[name], value), name
    Warp().load_state_dict(state, strict=False)


@pytest.mark.parametrize(
    ("stored", "kind", "spared"), [("float16", onnx.TensorProto.FLOAT16, 2), ("int8", onnx.TensorProto.INT8, 3)]
)
def test_shortened_weights_shrink_the_file_and_are_widened_in_the_graph(tmp_path, stored, kind, spared):
    """Weights are stored in two bytes each, or in one, and the graph computes with them in float32."""
    module = Embed()
    export_model(module, contract("encoder", ()), tmp_path / "full.onnx")
    export_model(module, contract("encoder", ()), tmp_path / "short.onnx", stored=stored)
    full, short = ((tmp_path / name).stat().st_size for name in ("full.onnx", "short.onnx"))
    assert full - short > 0.99 * spared * module.project.weight.numel()
    graph = onnx.load(tmp_path / "short.onnx").graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert kinds == {"project.weight": kind, "project.bias": onnx.TensorProto.FLOAT}


def test_int8_rounds_each_output_by_its_own_scale(monkeypatch):
    """Known values, all zeros among them; nothing is further off than half a step, and biases stay."""
    monkeypatch.setattr(precision, "SMALL", 0)
    module = nn.Linear(3, 3)
    module.weight.data = torch.tensor([[127.0, -64.4, 0.3], [0.0, 0.0, 0.0], [-1.27, 0.008, 0.002]])
    short = rounded(module, "int8")
    expected = torch.tensor([[127.0, -64.0, 0.0], [0.0, 0.0, 0.0], [-1.27, 0.01, 0.0]])
    assert torch.allclose(short.weight, expected) and torch.equal(short.bias, module.bias)
    convolution = nn.Conv2d(4, 6, 3)
    error = (rounded(convolution, "int8").weight - convolution.weight).abs().amax((1, 2, 3))
    assert (error <= convolution.weight.abs().amax((1, 2, 3)) / 127 / 2 * (1 + 1e-5)).all()


def test_small_weights_are_spared_a_byte():
    """In int8 they keep half precision, which a large one does not."""
    small, large = nn.Linear(4, 4), nn.Linear(512, precision.SMALL // 512)
    assert torch.equal(rounded(small, "int8").weight, rounded(small, "float16").weight)
    assert not torch.equal(rounded(large, "int8").weight, rounded(large, "float16").weight)


@pytest.mark.parametrize("stored", STORED[1:])
def test_half_precision_and_int8_are_values_of_the_network(stored):
    """Rounding what is rounded changes nothing that can be seen; float32 is the network itself."""
    module = Embed()
    short = rounded(module, stored)
    assert torch.allclose(rounded(short, stored).project.weight, short.project.weight, rtol=1e-6, atol=0)
    assert torch.equal(rounded(module, "float32").project.weight, module.project.weight)
    assert not torch.equal(short.project.weight, module.project.weight)


def test_weights_beyond_half_precision_are_refused(tmp_path):
    """A weight that float16 cannot hold stops the export, and no file is left."""
    module = Embed()
    module.project.weight.data[0, 0] = 1e6
    with pytest.raises(ExportError, match=r"project\.weight"):
        export_model(module, contract("encoder", ()), tmp_path / "model.onnx", stored="float16")
    assert not list(tmp_path.iterdir())


def test_a_graph_that_is_not_the_network_is_refused(warp, tmp_path):
    """A graph is held against the network at hand: with other weights it deviates, and that is an error."""
    encoder, other = Embed().eval(), Embed().eval()
    export_model(encoder, contract("encoder", ()), tmp_path / "model.onnx")
    model = (tmp_path / "model.onnx").read_bytes()
    feed = draw_feed(contract("encoder", ()))
    assert max(compare(encoder, model, contract("encoder", ()), feed).values()) <= 1e-4
    with pytest.raises(ParityError, match="embedding deviates"):
        compare(other, model, contract("encoder", ()), feed)


def test_rows_that_depend_on_their_neighbours_are_refused(tmp_path):
    """A network that looks across the batch does not get out."""

    class Gregarious(Embed):
        def forward(self, image):
            return super().forward(image) + super().forward(image).mean(0, keepdim=True)

    with pytest.raises(ParityError, match="row"):
        export_model(Gregarious(), contract("encoder", ()), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_graph_that_breaks_its_contract_is_refused(warp, tmp_path):
    """Outputs of another shape than promised are a ContractError, and nothing is written."""
    promised = Contract("translator", TEMPLATE, (STRENGTH,), {}, "image", (SIDE, SIDE + 1, 3))
    with pytest.raises(ContractError):
        export_model(warp, promised, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_an_unused_weight_is_refused(tmp_path):
    """A parameter that would not come back from the file is an error, not a surprise of a later run."""

    class Forgetful(Embed):
        def __init__(self):
            super().__init__()
            self.unused = nn.Linear(2, 2)

    with pytest.raises(ExportError, match="unused"):
        export_model(Forgetful(), contract("encoder", ()), tmp_path / "model.onnx")


def test_export_leaves_the_network_as_it_was(tmp_path):
    """Neither training mode nor weights of the caller's network change, half precision or not."""
    module = Embed().train()
    before = module.project.weight.clone()
    export_model(module, contract("encoder", ()), tmp_path / "model.onnx", stored="float16")
    assert module.training and torch.equal(module.project.weight, before)


def test_random_inputs_keep_to_the_contract():
    """Drawn feeds have every input, within its range."""
    style = Control("style", (4,), -1.0, None, (0.0,) * 4, "hand")
    feed = draw_feed(contract(controls=(STRENGTH, style)), rows=64)
    assert list(feed) == ["image", "strength", "style"]
    assert feed["image"].dtype == np.uint8 and feed["image"].shape == (64, SIDE, SIDE, 3)
    assert feed["strength"].shape == (64,) and 0 <= feed["strength"].min() < 1 < feed["strength"].max() <= 3
    assert feed["style"].shape == (64, 4) and feed["style"].min() == -1 and feed["style"].max() > 1


def test_sessions_are_deterministic(warp, tmp_path):
    """The same feed gives the same bytes."""
    export_model(warp, contract(), tmp_path / "model.onnx")
    session = open_session((tmp_path / "model.onnx").read_bytes())
    feed = draw_feed(contract())
    assert np.array_equal(session.run(None, feed)[0], session.run(None, feed)[0])
