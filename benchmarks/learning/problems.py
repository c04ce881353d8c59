"""The benchmark's problems, for every environment alike: numpy and the standard library alone.

Each seed has an instance of its own. The textbook's box is moved unevenly, side by side and axis by axis, so that no
optimum lies at the centre, at an edge or at the same place twice: it is widened by 2 to 25 % of its width at each end
(Gramacy's, where more room would hold better points, is narrowed by up to 10 %). Boxes that would leave an optimum near
their centre or an edge are drawn again. `branin_currin` and `snar` keep their boxes: their optima are curves.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import numpy as np

from examples.snar import model as snar_model

from . import functions
from .vocabulary import MAXIMIZE, MINIMIZE, Aim, Measure, Names, Parameter, Point, Problem, Real, Whole


def make(name: str, seed: int) -> Problem:
    """The instance of a problem that belongs to a seed."""
    return _MAKERS[name](_generator(name, seed))


def _generator(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(name.encode()), seed])


def _box(
    rng: np.random.Generator,
    sides: tuple[tuple[float, float], ...],
    at: tuple[tuple[float, ...], ...] = (),
    reach: tuple[float, float] = (0.02, 0.25),
) -> tuple[Real, ...]:
    """x1, x2, ... in the moved box. `reach`: by how much of its width each end moves outwards, least and most."""
    while True:
        moves = rng.uniform(*reach, size=(len(sides), 2))
        box = tuple(
            Real(
                f"x{number}",
                round(float(low - down * (high - low)), 4),
                round(float(high + up * (high - low)), 4),
            )
            for number, ((low, high), (down, up)) in enumerate(zip(sides, moves, strict=True), 1)
        )
        if all(_apart(box, each) for each in at):
            return box


def _apart(box: tuple[Real, ...], at: tuple[float, ...]) -> bool:
    """Whether a point is away from the centre and from every edge."""
    shares = [(x - axis.low) / (axis.high - axis.low) for axis, x in zip(box, at, strict=True)]
    return max(abs(each - 0.5) for each in shares) > 0.05 and all(0.02 < each < 0.98 for each in shares)


def _several(box: Sequence[Real], function: Callable[[list[float]], Sequence[float]], *names: str) -> Measure:
    """A function of the box's coordinates, its values under their names."""

    def measure(point: Point) -> dict[str, float]:
        values = function([float(point[axis.name]) for axis in box])
        return dict(zip(names, map(float, values), strict=True))

    return measure


def _alone(box: Sequence[Real], function: Callable[[list[float]], float]) -> Measure:
    return _several(box, lambda x: (function(x),), "y")


def _branin(rng: np.random.Generator) -> Problem:
    at = functions.BRANIN_AT
    box = _box(rng, ((-5, 10), (0, 15)), at)
    return Problem("branin", box, _alone(box, functions.branin), (Aim("y"),), 30, functions.BRANIN, at=at)


def _hartmann6(rng: np.random.Generator) -> Problem:
    at = functions.HARTMANN6_AT
    box = _box(rng, ((0, 1),) * 6, at)
    measure = _alone(box, functions.hartmann6)
    return Problem("hartmann6", box, measure, (Aim("y"),), 50, functions.HARTMANN6, at=at)


def _levy5(rng: np.random.Generator) -> Problem:
    at = ((1.0,) * 5,)
    box = _box(rng, ((-10, 10),) * 5, at)
    return Problem("levy5", box, _alone(box, functions.levy), (Aim("y"),), 50, 0.0, at=at)


def _rosenbrock4(rng: np.random.Generator) -> Problem:
    at = ((1.0,) * 4,)
    box = _box(rng, ((-5, 10),) * 4, at)
    return Problem("rosenbrock4", box, _alone(box, functions.rosenbrock), (Aim("y"),), 50, 0.0, at=at)


#: Where the names of the mixed problem stand on their hidden axes.
SOLVENTS = (0.15, 0.4, 0.65, 0.9)
LIGANDS = (0.05, 0.31, 0.5, 0.65, 0.8, 0.95)


def _mixed(rng: np.random.Generator) -> Problem:
    """Hartmann 6 with three real inputs, one whole one (a tenth each), and two of names in a hidden order."""
    below, above = (int(each) for each in rng.integers(0, 4, size=2))
    solvents, ligands = rng.permutation(SOLVENTS), rng.permutation(LIGANDS)
    solvent_of = {f"solvent-{letter}": float(z) for letter, z in zip("abcd", solvents, strict=True)}
    ligand_of = {f"ligand-{letter}": float(z) for letter, z in zip("abcdef", ligands, strict=True)}
    box = _box(rng, ((0, 1),) * 3, ((0.2031146, 0.47376182, 0.65777451),))
    parameters: tuple[Parameter, ...] = (
        *box,
        Whole("cycles", 0, 10 + below + above),
        Names("solvent", tuple(solvent_of)),
        Names("ligand", tuple(ligand_of)),
    )

    def measure(point: Point) -> dict[str, float]:
        cycles = (float(point["cycles"]) - below) / 10
        solvent, ligand = solvent_of[str(point["solvent"])], ligand_of[str(point["ligand"])]
        reals = [float(point[axis.name]) for axis in box]
        return {"y": functions.hartmann6([reals[0], solvent, reals[1], cycles, ligand, reals[2]])}

    # The least value over all whole numbers and names, each combination polished in the real inputs.
    return Problem("mixed", parameters, measure, (Aim("y"),), 50, -3.3043168944)


def _gramacy(rng: np.random.Generator) -> Problem:
    at = ((0.19512269, 0.40466536),)
    box = _box(rng, ((0, 1),) * 2, at, reach=(-0.1, 0.0))
    measure = _several(box, functions.gramacy, "y", "wave", "disc")
    limits = (("wave", 0.0), ("disc", 0.0))
    return Problem("gramacy", box, measure, (Aim("y"),), 50, 0.599788052, start=1.4, limits=limits, at=at)


#: Greatest hypervolumes: `python -m benchmarks.learning.fronts` finds them again. They are sure to this share.
_SURE = 1e-4
BRANIN_CURRIN = 59.4045
SNAR = 33162.1


def _branin_currin(rng: np.random.Generator) -> Problem:
    box = (Real("x1", 0.0, 1.0), Real("x2", 0.0, 1.0))
    measure = _several(box, functions.branin_currin, "branin", "currin")
    aims = (Aim("branin", reference=18.0), Aim("currin", reference=6.0))
    return Problem(
        "branin_currin", box, measure, aims, 50, BRANIN_CURRIN, BRANIN_CURRIN, _SURE * BRANIN_CURRIN
    )


def _dtlz2(rng: np.random.Generator) -> Problem:
    at = ((0.5,) * 5,)
    moved = _box(rng, ((0, 1),) * 5, at)
    box = (Real("x0", 0.0, 1.0), *moved)
    measure = _several(box, functions.dtlz2, "f1", "f2")
    aims = (Aim("f1", reference=1.1), Aim("f2", reference=1.1))
    most = 1.1**2 - np.pi / 4
    return Problem("dtlz2", box, measure, aims, 50, most, most, _SURE * most, at=at)


def _snar(rng: np.random.Generator) -> Problem:
    """The reactor of examples/snar with both outputs for themselves."""
    box = (
        Real("tau", 0.5, 2.0),
        Real("equiv_pldn", 1.0, 5.0),
        Real("conc_dfnb", 0.1, 0.5),
        Real("temperature", 30.0, 120.0),
    )
    aims = (Aim("sty", MAXIMIZE, 2000.0), Aim("e_factor", MINIMIZE, 12.0))
    return Problem("snar", box, snar_model.measure, aims, 50, SNAR, SNAR, _SURE * SNAR)


_MAKERS: dict[str, Callable[[np.random.Generator], Problem]] = {
    "branin": _branin,
    "hartmann6": _hartmann6,
    "levy5": _levy5,
    "rosenbrock4": _rosenbrock4,
    "mixed": _mixed,
    "gramacy": _gramacy,
    "branin_currin": _branin_currin,
    "dtlz2": _dtlz2,
    "snar": _snar,
}
NAMES = tuple(_MAKERS)
