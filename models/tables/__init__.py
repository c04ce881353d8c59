"""Every table, a file per topic. Importing any of them registers all in METADATA."""

from __future__ import annotations

from . import campaigns, experiments, files, learning, operations, pools, results
from .metadata import METADATA

__all__ = ["METADATA", "campaigns", "experiments", "files", "learning", "operations", "pools", "results"]
