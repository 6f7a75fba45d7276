"""Which recognisers were in a model's losses, by its contract: those are no judges of whose face its drawings show."""

from __future__ import annotations

from export.contract import Contract
from export.repository import GRAPH
from training.data import dlib_networks, terms
from training.exported import Exported


def teachers(model: Exported) -> frozenset[str]:
    """Names of files or NAME/VERSION: the model's own, and those of the ones that are published beside it.

    RepositoryError and ContractError of such a one.
    """
    beside, found, asked = model.path.parents[2], set[str](), [model]
    while asked:
        named = _named(asked.pop().contract) - found
        found |= named
        asked += [Exported(beside / name) for name in named if (beside / name / GRAPH).is_file()]
    return frozenset(found)


def dlib_s() -> str:
    """The name that dlib's recogniser has as a teacher."""
    return dlib_networks.recogniser_file().name


def _named(contract: Contract) -> frozenset[str]:
    """Less the digests that stand behind them."""
    return frozenset(each.partition(", ")[0] for each in terms.teachers(contract.provenance))
