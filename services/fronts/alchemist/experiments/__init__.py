"""Experiments: each an item of the work queue and, once it is measured, a row of the dataset."""
