"""training.networks.dlib_recogniser: dlib's network, number for number."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.data import dlib_networks
from training.data.errors import DataError
from training.networks.dlib_recogniser import CHIP, DESCRIPTOR, Recogniser


@pytest.fixture(name="network", scope="module")
def network_() -> Recogniser:
    network = Recogniser()
    network.read(dlib_networks.recogniser_file())
    return network.eval()


def test_it_says_what_dlib_says(network: Recogniser) -> None:
    """Of chips of any colours, alone or beside others, to rounding."""
    chips = np.random.default_rng(0).integers(0, 256, (3, CHIP, CHIP, 3), np.uint8)
    chips[1] //= 4
    wanted = np.array(dlib_networks.recogniser().compute_face_descriptor(list(chips)))
    with torch.inference_mode():
        found = network(torch.from_numpy(chips).permute(0, 3, 1, 2).float())
    assert found.shape == (3, DESCRIPTOR)
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)


def test_it_teaches_by_gradients(network: Recogniser) -> None:
    """Every pixel that it sees has a say."""
    chips = torch.full((1, 3, CHIP, CHIP), 128.0, requires_grad=True)
    network(chips).square().sum().backward()
    assert chips.grad is not None and torch.isfinite(chips.grad).all() and bool(chips.grad.any())


@pytest.mark.parametrize("spoilt", [lambda content: content[: len(content) // 2], lambda content: b"", bytes.swapcase])
def test_another_file_is_refused_by_name(tmp_path: Path, spoilt) -> None:  # type: ignore[no-untyped-def]
    """Half of it, nothing, or other letters."""
    path = tmp_path / "other.dat"
    path.write_bytes(spoilt(dlib_networks.recogniser_file().read_bytes()))
    with pytest.raises(DataError, match=r"other\.dat is not dlib's face recogniser"):
        Recogniser().read(path)
