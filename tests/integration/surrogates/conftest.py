"""One torch thread: the answers are defined for a fixed number, and two are slow on busy cores."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
