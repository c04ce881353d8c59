"""Which kinds there are, and which one serves where the strategy leaves the choice."""

from __future__ import annotations

from collections.abc import Mapping

from labqueue.strategy import AUTO, MULTI_OUTPUT
from models.surrogates.data import Data

from . import ensemble, forest, gp, multi, robust, saas, variational
from .kind import Kind

KINDS: Mapping[str, Kind] = {
    "gp": gp,
    MULTI_OUTPUT: multi,
    "saas": saas,
    "robust": robust,
    "variational": variational,
    "ensemble": ensemble,
    "forest": forest,
}
#: These have a model of classes; for the others `variational` has it.
_OF_CLASSES = ("variational", "ensemble", "forest")

#: An exact process costs (rows)^3: with more rows it is seen through inducing points.
EXACT_ROWS = 2_000
#: With more columns (those of a category parameter count once), few of them are expected to matter: a sparse prior, while
#: its several fits are affordable.
MANY_COLUMNS, SPARSE_ROWS = 20, 500


def kind_for(asked: str, data: Data) -> str:
    """The kind for one output."""
    if asked != AUTO:
        return "variational" if data.classes and asked not in _OF_CLASSES else asked
    if data.classes or len(data) > EXACT_ROWS:
        return "variational"
    if MANY_COLUMNS < len(set(data.groups)) and len(data) <= SPARSE_ROWS:
        return "saas"
    return "gp"
