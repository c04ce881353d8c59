"""Test functions on their textbook coordinates. Numpy alone: any environment can run them. All are to be minimized.

Sources: Branin, Hartmann 6, Levy and Rosenbrock as in Surjanovic and Bingham's library (sfu.ca/~ssurjano); Gramacy et
al., Technometrics 58 (2016), eq. 15; Branin-Currin as in BoTorch; DTLZ2: Deb et al., CEC 2002.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

#: The least values and where they are taken.
BRANIN = 10 / (8 * math.pi)
BRANIN_AT = ((-math.pi, 12.275), (math.pi, 2.275), (3 * math.pi, 2.475))
HARTMANN6 = -3.322368011415515
HARTMANN6_AT = ((0.20168952, 0.15001069, 0.47687398, 0.27533243, 0.31165162, 0.65730054),)

_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def branin(x: Sequence[float]) -> float:
    """On [-5, 10] x [0, 15]; nowhere below BRANIN."""
    bow = x[1] - 5.1 / (4 * math.pi**2) * x[0] ** 2 + 5 / math.pi * x[0] - 6
    return bow**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x[0]) + 10


def hartmann6(x: Sequence[float]) -> float:
    """On [0, 1]^6; nowhere below HARTMANN6."""
    return -float(_ALPHA @ np.exp(-(_A * (np.asarray(x) - _P) ** 2).sum(axis=1)))


def levy(x: Sequence[float]) -> float:
    """On [-10, 10]^d; 0 at (1, ..., 1)."""
    w = 1 + (np.asarray(x) - 1) / 4
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2)).sum()
    last = (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2)
    return float(np.sin(np.pi * w[0]) ** 2 + middle + last)


def rosenbrock(x: Sequence[float]) -> float:
    """On [-5, 10]^d; 0 at (1, ..., 1)."""
    z = np.asarray(x)
    return float((100 * (z[1:] - z[:-1] ** 2) ** 2 + (z[:-1] - 1) ** 2).sum())


def gramacy(x: Sequence[float]) -> tuple[float, float, float]:
    """On [0, 1]^2: what is minimized, and two values that must not exceed 0."""
    wave = 1.5 - x[0] - 2 * x[1] - 0.5 * math.sin(2 * math.pi * (x[0] ** 2 - 2 * x[1]))
    return x[0] + x[1], wave, x[0] ** 2 + x[1] ** 2 - 1.5


def branin_currin(x: Sequence[float]) -> tuple[float, float]:
    """On [0, 1]^2."""
    a, b = x
    fall = 1 - math.exp(-1 / (2 * b)) if b > 0 else 1.0
    currin = fall * (2300 * a**3 + 1900 * a**2 + 2092 * a + 60) / (100 * a**3 + 500 * a**2 + 4 * a + 20)
    return branin((15 * a - 5, 15 * b)), currin


def dtlz2(x: Sequence[float]) -> tuple[float, float]:
    """The first coordinate in [0, 1], any others: the front is the quarter circle where those are 0.5."""
    radius = 1 + sum((each - 0.5) ** 2 for each in x[1:])
    angle = math.pi / 2 * x[0]
    return radius * math.cos(angle), radius * math.sin(angle)
