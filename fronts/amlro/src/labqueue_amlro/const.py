"""The names of the files in an experiment's folder."""

from __future__ import annotations

FULL_COMBO_FILENAME = "full_combo.csv"
FULL_COMBO_DECODED_FILENAME = "full_combo_decoded.csv"
TRAINING_COMBO_FILENAME = "training_combo.csv"
REACTIONS_DATA_FILENAME = "reactions_data.csv"
