"""How far what a translator draws is off where its weights are shortened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

import numpy as np
import torch
from torch import nn

from export.alignment import Image
from export.contract import Contract
from export.parity import ParityError
from export.precision import Stored

COMPARED = 50
"""Pictures that are looked at."""


def agreed(
    network: nn.Module, short: nn.Module, contract: Contract, images: Iterable[Image], stored: Stored, limit: float
) -> Mapping[str, float]:
    """The mean difference of two networks' outputs, at the contract's own request; ParityError beyond the limit.

    Images uint8 [S, S, 3] as the contract takes them, of which the first COMPARED are looked at.
    """
    request = [torch.from_numpy(value)[None] for value in contract.values({}).values()]
    apart = []
    for image in islice(images, COMPARED):
        whole, stored_so = (each(torch.from_numpy(image)[None], *request).float() for each in (network, short))
        apart.append(float((whole - stored_so).abs().mean()))
    off = float(np.mean(apart))
    if off > limit:
        raise ParityError(f"{stored}: outputs are {off:.3f} off on average, more than {limit}")
    return {"apart": off}
