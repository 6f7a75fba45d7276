"""training.originals.satnet: files of the original's layout draw here what they drew there.

The layout is written down once more, and what its tensors compute is written by its keys, in the words of the papers.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor
from torch.nn import functional

from training.data.terms import terms
from training.engine.errors import CheckpointError, RecipeError
from training.engine.foreign import flattened
from training.engine.run import Run
from training.engine.session import import_run, translate
from training.originals.satnet import FIXED, IGNORED, settings
from training.recipes.satnet import Config, Recipe

WIDTH, STYLE, MAPPING, BLOCKS, LAYERS, SCALES = 8, 3, 5, 2, 3, 2
DEEP = 4 * WIDTH
State = dict[str, Tensor]
Shapes = Iterator[tuple[str, tuple[int, ...]]]


def plain(name: str, *shape: int) -> Shapes:
    """A layer's weight and bias."""
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def normalised(name: str, *shape: int) -> Shapes:
    """The same behind a spectral norm, which keeps two vectors."""
    yield f"{name}.module.bias", shape[:1]
    yield f"{name}.module.weight_bar", shape
    yield f"{name}.module.weight_u", shape[:1]
    yield f"{name}.module.weight_v", (shape[1] * shape[2] * shape[3],)


def attention(name: str, channels: int) -> Shapes:
    yield f"{name}.gamma", (1,)
    for letter, outputs in (("f", channels // 8), ("g", channels // 8), ("k", channels)):
        yield from normalised(f"{name}.{letter}_conv", outputs, channels, 1, 1)


def residual(name: str, channels: int = DEEP, *, adaptive: bool = False) -> Shapes:
    for half in "01":
        yield from plain(f"{name}.model.{half}.conv", channels, channels, 3, 3)
        if adaptive:
            yield f"{name}.model.{half}.norm.running_mean", (channels,)
            yield f"{name}.model.{half}.norm.running_var", (channels,)


def generator(attentive: bool) -> Shapes:
    """Of one domain: SATNet's, or else MUNIT's."""
    widths = (3, WIDTH, 2 * WIDTH, DEEP)
    for part, count in (("enc_content", 3), ("enc_style", 5)):
        for number in range(count):
            before, after = (widths[min(number + step, 3)] for step in (0, 1))
            side = 7 if number == 0 else 4
            yield from plain(f"{part}.model.{number}.conv", after, before, side, side)
    yield from plain("enc_style.model.6", STYLE, DEEP, 1, 1)
    for number in range(BLOCKS):
        yield from residual(f"enc_content.model.3.model.{number}")
        yield from residual(f"dec.model.0.model.{number}", adaptive=True)
    if attentive:
        yield from attention("enc_content.model.4", DEEP)
        yield from residual("enc_content.model.5")
        yield from attention("dec.model.1", DEEP)
        yield from residual("dec.model.2", adaptive=True)
    first = 4 if attentive else 2
    for number, (before, after) in ((first, (DEEP, 2 * WIDTH)), (first + 2, (2 * WIDTH, WIDTH))):
        yield from plain(f"dec.model.{number}.conv", after, before, 5, 5)
        yield f"dec.model.{number}.norm.gamma", (after,)
        yield f"dec.model.{number}.norm.beta", (after,)
    yield from plain(f"dec.model.{first + 3}.conv", 3, WIDTH, 7, 7)
    rows = 2 * DEEP * 2 * (BLOCKS + attentive)
    for number, (before, after) in enumerate(((STYLE, MAPPING), (MAPPING, MAPPING), (MAPPING, rows))):
        yield from plain(f"mlp.model.{number}.fc", after, before)


def discriminator(attentive: bool) -> Shapes:
    for scale in range(SCALES):
        name, channels = f"cnns.{scale}", [3, *(WIDTH << number for number in range(LAYERS))]
        for number in range(LAYERS):
            layer = normalised if attentive and number else plain
            yield from layer(f"{name}.{number}.conv", channels[number + 1], channels[number], 4, 4)
        if attentive:
            yield from attention(f"{name}.{LAYERS}", channels[-1])
        yield from plain(f"{name}.{LAYERS + attentive}", 1, channels[-1], 1, 1)


def file(shapes: Shapes, seed: int) -> State:
    """Tensors of such shapes: random, with vectors of spectral norms that are nearly those of the weights."""
    random = torch.Generator().manual_seed(seed)
    state = {
        name: torch.randn(shape, generator=random) / max(1, torch.Size(shape[1:]).numel()) ** 0.5
        for name, shape in shapes
    }
    for name in [name for name in state if name.endswith("weight_bar")]:
        left, _, right = torch.linalg.svd(state[name].flatten(1), full_matrices=False)
        state[name.replace("bar", "u")] = functional.normalize(left[:, 0] + 0.05, dim=0)
        state[name.replace("bar", "v")] = functional.normalize(right[0] + 0.01, dim=0)
    return state


def saved(path: Path, shapes: object, attentive: bool) -> dict[str, State]:
    """Both domains, a and b, as torch saves them."""
    states = {letter: file(shapes(attentive), seed) for seed, letter in enumerate("ab")}
    torch.save(states, path)
    return states


class Original:
    """What a state of that layout computes."""

    def __init__(self, state: State) -> None:
        self.state = state

    def conv(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        if f"{name}.module.weight_bar" in self.state:
            bar, u, v = (self.state[f"{name}.module.weight_{part}"] for part in ("bar", "u", "v"))
            weight, bias = bar / (u @ (bar.flatten(1) @ v)), self.state[f"{name}.module.bias"]
        else:
            weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        side = weight.shape[2]
        edge = 1 if side == 4 else side // 2
        return functional.conv2d(functional.pad(x, [edge] * 4, "reflect"), weight, bias, stride)

    def attend(self, x: Tensor, name: str) -> Tensor:
        f, g, k = (self.conv(x, f"{name}.{letter}_conv").flatten(2) for letter in "fgk")
        read = torch.einsum("bqn,bcn->bcq", (f.transpose(1, 2) @ g).softmax(-1), k)
        return x + self.state[f"{name}.gamma"] * read.view_as(x)

    def residual(self, x: Tensor, name: str, codes: list[Tensor] | None = None) -> Tensor:
        def norm(y: Tensor) -> Tensor:
            y = functional.instance_norm(y)
            if codes is None:
                return y
            shift, gain = codes.pop(0)[..., None, None], codes.pop(0)[..., None, None]
            return gain * y + shift

        y = norm(self.conv(x, f"{name}.model.0.conv")).relu()
        return x + norm(self.conv(y, f"{name}.model.1.conv"))

    def content(self, x: Tensor, attentive: bool) -> Tensor:
        for number, stride in enumerate((1, 2, 2)):
            x = functional.instance_norm(self.conv(x, f"enc_content.model.{number}.conv", stride)).relu()
        for number in range(BLOCKS):
            x = self.residual(x, f"enc_content.model.3.model.{number}")
        return self.residual(self.attend(x, "enc_content.model.4"), "enc_content.model.5") if attentive else x

    def style(self, x: Tensor) -> Tensor:
        for number in range(5):
            x = self.conv(x, f"enc_style.model.{number}.conv", 2 if number else 1).relu()
        return self.conv(x.mean((2, 3), keepdim=True).expand(-1, -1, 2, 2), "enc_style.model.6")[..., 0, 0]

    def decode(self, x: Tensor, style: Tensor, attentive: bool) -> Tensor:
        code = style
        for number in range(3):
            code = functional.linear(
                code, *(self.state[f"mlp.model.{number}.fc.{kind}"] for kind in ("weight", "bias"))
            )
            code = code.relu() if number < 2 else code
        codes = list(code.split(DEEP, 1))
        for number in range(BLOCKS):
            x = self.residual(x, f"dec.model.0.model.{number}", codes)
        if attentive:
            x = self.residual(self.attend(x, "dec.model.1"), "dec.model.2", codes)
        assert not codes
        first = 4 if attentive else 2
        for number in (first, first + 2):
            x = self.conv(functional.interpolate(x, scale_factor=2), f"dec.model.{number}.conv")
            mean, deviation = x.mean((1, 2, 3), keepdim=True), x.flatten(1).std(1)[:, None, None, None]
            gain, shift = (self.state[f"dec.model.{number}.norm.{name}"][:, None, None] for name in ("gamma", "beta"))
            x = (gain * (x - mean) / (deviation + 1e-5) + shift).relu()
        return self.conv(x, f"dec.model.{first + 3}.conv").tanh()

    def judge(self, x: Tensor, attentive: bool) -> list[Tensor]:
        found = []
        for scale in range(SCALES):
            y = x
            for number in range(LAYERS):
                y = functional.leaky_relu(self.conv(y, f"cnns.{scale}.{number}.conv", 2), 0.2)
            y = self.attend(y, f"cnns.{scale}.{LAYERS}") if attentive else y
            found.append(self.conv(y.repeat_interleave(2, 2), f"cnns.{scale}.{LAYERS + attentive}")[:, :, ::2])
            x = functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return found


def networks(folder: Path) -> dict[str, torch.nn.Module]:
    """Of the run that an import has begun."""
    run = Run(folder)
    tensors, _ = run.state("satnet")
    found = Recipe(Config(**run.facts()["settings"])).networks()
    for name, network in found.items():
        prefix = f"networks/{name}/"
        network.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    return {name: network.eval() for name, network in found.items()}


PICTURES = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(9)) * 2 - 1
STYLES = torch.randn(2, STYLE, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("attentive", [True, False], ids=["satnet", "munit"])
def test_a_file_draws_here_what_it_drew_there(attentive: bool, tmp_path: Path) -> None:
    """Content, style, drawings of photos and photos of drawings, and what the discriminators say: a is drawings."""
    states = saved(tmp_path / "gen_00450000.pt", generator, attentive)
    judges = saved(tmp_path / "dis_00450000.pt", discriminator, attentive)
    told = import_run("satnet", [tmp_path / f"{kind}_00450000.pt" for kind in ("gen", "dis")], tmp_path / "run")
    assert "photo_generator of" in told and "drawing_discriminator of" in told
    found, (drawings, photos) = networks(tmp_path / "run"), (Original(states[letter]) for letter in "ab")
    with torch.no_grad():
        for name, theirs, target, other in (
            ("photo", photos, "drawing", drawings),
            ("drawing", drawings, "photo", photos),
        ):
            ours = found[f"{name}_generator"]
            content = theirs.content(PICTURES, attentive)
            assert torch.allclose(ours.content(PICTURES), content, atol=1e-4)
            assert torch.allclose(ours.style(PICTURES), theirs.style(PICTURES), atol=1e-4)
            made = found[f"{target}_generator"].decoder(content, STYLES)
            assert torch.allclose(made, other.decode(content, STYLES, attentive), atol=1e-4)
        for letter, domain in (("a", "drawing"), ("b", "photo")):
            wanted = Original(judges[letter]).judge(PICTURES, attentive)
            logits = found[f"{domain}_discriminator"](PICTURES).values()
            assert all(torch.allclose(*pair, atol=1e-4) for pair in zip(logits, wanted, strict=True))


def test_a_generators_file_is_enough(tmp_path: Path) -> None:
    """To export it: the discriminators begin anew, settings follow from the shapes, and it is for research only."""
    saved(tmp_path / "gen.pt", generator, True)
    import_run("satnet", [tmp_path / "gen.pt"], tmp_path / "run")
    facts = Run(tmp_path / "run").facts()["settings"]
    names = ("channels", "halvings", "blocks", "attention", "style_size", "mapping")
    assert [facts[name] for name in names] == [WIDTH, 2, BLOCKS, True, STYLE, MAPPING]
    assert Recipe(Config(**facts)).contract({}).output_shape == (224, 192, 3)
    assert terms(facts["sources"])["notice"].startswith("Research only: trained on gen.pt")


def test_weights_of_spectral_norm_are_folded(tmp_path: Path) -> None:
    """By the norm that the file has estimated: what is stored has the norm 1, and is used as it is."""
    states = saved(tmp_path / "gen.pt", generator, True)
    saved(tmp_path / "dis.pt", discriminator, True)
    import_run("satnet", [tmp_path / "gen.pt", tmp_path / "dis.pt"], tmp_path / "run")
    layer = networks(tmp_path / "run")["drawing_generator"].decoder.attention.value
    bar, u, v = (states["a"][f"dec.model.1.k_conv.module.weight_{part}"] for part in ("bar", "u", "v"))
    folded = bar / (u @ bar.flatten(1) @ v)
    assert torch.allclose(layer.parametrizations.weight.original, folded, atol=1e-6)
    assert torch.allclose(layer.weight, folded, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda state: state.pop("a.dec.model.2.model.1.conv.bias"),
            r"it lacks a\.dec\.model\.2\.model\.1\.conv\.bias",
        ),
        (lambda state: state.update({"b.vgg.x": torch.ones(1)}), r"it has b\.vgg\.x"),
        (lambda state: state.update({"b.y": torch.ones(1), "a.x": torch.ones(1)}), r"it has a\.x, has b\.y"),
        (lambda state: state.pop("b.enc_content.model.4.gamma"), r"lacks b\.enc_content\.model\.4\.gamma"),
        (lambda state: state.pop("a.mlp.model.0.fc.weight"), r"lacks a\.mlp\.model\.0\.fc\.weight"),
        (lambda state: state.pop("a.enc_content.model.0.conv.weight"), r"neither a\.enc_content.* nor a\.cnns"),
        (
            lambda state: state.update({"a.mlp.model.2.fc.weight": torch.ones(7, MAPPING)}),
            r"gen\.pt.*drawing_generator/decoder",
        ),
    ],
)
def test_keys_that_do_not_match_are_named(change, complaint: str, tmp_path: Path) -> None:
    """All that are missing or left over, and one of another shape; nothing is begun."""
    state = {f"{letter}.{key}": value for letter in "ab" for key, value in file(generator(True), 0).items()}
    change(state)
    torch.save(state, tmp_path / "gen.pt")
    with pytest.raises(CheckpointError, match=complaint):
        import_run("satnet", [tmp_path / "gen.pt"], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_statistics_of_old_files_are_dropped(tmp_path: Path) -> None:
    """PyTorch 0.3 saved some of instance norms which had none, and counters came later."""
    state = {f"{letter}.{key}": value for letter in "ab" for key, value in file(generator(False), 0).items()}
    for statistic in ("running_mean", "running_var", "num_batches_tracked"):
        state[f"a.enc_content.model.0.norm.{statistic}"] = torch.ones(WIDTH)
    torch.save(state, tmp_path / "gen.pt")
    saved(tmp_path / "dis.pt", discriminator, False)
    assert "photo_generator" in import_run("satnet", [tmp_path / "gen.pt", tmp_path / "dis.pt"], tmp_path / "run")


# The configuration


YAML = """
image_save_iter: 10000
image_display_iter: 100
display_size: 16
snapshot_save_iter: 20000
log_iter: 50
max_iter: 450000
batch_size: 2
weight_decay: 0.0001
beta1: 0.0
beta2: 0.9
init: kaiming
lr_d: 0.0004
lr_g: 0.0001
lr_policy: linear
decay_step: 400000
gan_w: 1
recon_x_w: 10
recon_s_w: 1
recon_c_w: 1
recon_x_cyc_w: 10
vgg_w: 0
sph_w: 10
sup_w: 0
gen: {dim: 64, mlp_dim: 256, style_dim: 8, activ: relu, n_downsample: 2, n_res: 4, pad_type: reflect}
dis: {dim: 64, norm: sn, activ: lrelu, n_layer: 4, gan_type: hinge, num_scales: 3, pad_type: reflect}
sph: {classnum: 227, thd: 0.2875, model_path: checkpoints/00011000.pth}
clear_mode: true
input_dim_a: 3
input_dim_b: 3
num_workers: 4
new_size: 200
crop_image_height: 224
crop_image_width: 192
data_root: datasets/WebCaricature
afid_path: precaluC.npz
bfid_path: precaluP.npz
"""


@pytest.fixture(name="keys")
def keys_() -> dict:
    """The original's, with a batch of two, so that steps and images differ."""
    return yaml.safe_load(YAML)


def test_the_originals_own_file_is_the_recipes_own_settings(keys: dict, tmp_path: Path) -> None:
    """But for the batch, what follows from it, and where the face encoder lies."""
    (tmp_path / "sphereface.yaml").write_text(YAML)
    found, ignored = translate("satnet", tmp_path / "sphereface.yaml")
    ours = Config(**found)
    own = {"sheet": 20_000, "measure": 20_000, "checkpoint": 40_000, "report": 100, "images": 900_000, "batch": 2}
    assert ours == Config(**own, recogniser="checkpoints/00011000.pth")
    assert set(ignored) == IGNORED


OTHERS: dict[str, tuple[object, dict[str, object]]] = {
    "batch_size": (
        4,
        {"batch": 4, "images": 1_800_000, "sheet": 40_000, "measure": 40_000, "checkpoint": 80_000, "report": 200},
    ),
    "weight_decay": (0.5, {"decay": 0.5}),
    "beta1": (0.5, {"beta1": 0.5}),
    "beta2": (0.5, {"beta2": 0.5}),
    "lr_d": (0.5, {"discriminator_rate": 0.5}),
    "lr_g": (0.5, {"generator_rate": 0.5}),
    "lr_policy": ("step", {"schedule": "step"}),
    "decay_step": (45_000, {"falls_after": 0.1}),
    "gan_w": (3, {"adversarial": 3}),
    "recon_x_w": (3, {"reconstruction": 3}),
    "recon_s_w": (3, {"style": 3}),
    "recon_c_w": (3, {"content": 3}),
    "recon_x_cyc_w": (3, {"cycle": 3}),
    "vgg_w": (3, {"perceptual": 3}),
    "sph_w": (3, {"identity": 3}),
    "sup_w": (3, {"same_identity": 3}),
    "gen.dim": (32, {"channels": 32}),
    "gen.mlp_dim": (32, {"mapping": 32}),
    "gen.style_dim": (32, {"style_size": 32}),
    "gen.n_downsample": (1, {"halvings": 1}),
    "gen.n_res": (1, {"blocks": 1}),
    "dis.dim": (32, {"discriminator_channels": 32}),
    "dis.n_layer": (3, {"layers": 3}),
    "dis.num_scales": (2, {"scales": 2}),
    "dis.gan_type": ("lsgan", {"objective": "lsgan"}),
    "sph.thd": (0.5, {"threshold": 0.5}),
    "sph.model_path": ("x.pth", {"recogniser": "x.pth"}),
    "max_iter": (800_000, {"images": 1_600_000, "falls_after": 0.5}),
    "image_save_iter": (7, {"sheet": 14, "measure": 14}),
    "snapshot_save_iter": (7, {"checkpoint": 14}),
    "log_iter": (7, {"report": 14}),
    "new_size": (210, {"margin": 18}),
    "crop_image_height": (232, {"height": 232}),
    "crop_image_width": (196, {"width": 196, "margin": 4}),
}
"""Another value for each key that means something, and what changes with it."""


def changed(keys: dict, key: str, value: object) -> dict:
    """The same with another value of a key, which may have a dot."""
    outer, dot, inner = key.partition(".")
    return keys | {outer: keys[outer] | {inner: value} if dot else value}


@pytest.mark.parametrize("key", OTHERS)
def test_every_key_means_what_it_meant(key: str, keys: dict) -> None:
    """And nothing else: with another value only those settings change that it stands for."""
    before, _ = settings(keys, "x.yaml")
    value, wanted = OTHERS[key]
    after, _ = settings(changed(keys, key, value), "x.yaml")
    assert before.keys() == after.keys() and wanted.items() <= after.items()
    assert {name for name in after if after[name] != before[name]} == wanted.keys()


def test_every_key_is_tested(keys: dict) -> None:
    """Each either changes something, or can have one value only, or says nothing here."""
    assert {*OTHERS, *FIXED, *IGNORED} == dict(flattened(keys)).keys()


@pytest.mark.parametrize("key", FIXED)
def test_what_can_only_be_one_thing_is_said(key: str, keys: dict) -> None:
    """With the key and the value."""
    with pytest.raises(RecipeError, match=rf"x\.yaml: {key} can only be {FIXED[key]}, not other"):
        settings(changed(keys, key, "other"), "x.yaml")


def test_keys_that_there_are_not_are_named(keys: dict) -> None:
    """All of them, however deep."""
    keys = changed(keys, "gen.deep", 3) | {"kd_w": 1}
    with pytest.raises(RecipeError, match=r"x\.yaml: gen\.deep, kd_w: no key of SATNet's configuration"):
        settings(keys, "x.yaml")


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("max_iter", "many", "max_iter must be a whole number, 0 or more, not many"),
        ("new_size", 100, "new_size must be a whole number, 192 or more, not 100"),
        ("decay_step", 0.5, "decay_step must be a whole number"),
    ],
)
def test_values_that_cannot_be_are_named(key: str, value: object, complaint: str, keys: dict) -> None:
    """By the file's own keys."""
    with pytest.raises(RecipeError, match=complaint):
        settings(changed(keys, key, value), "x.yaml")
