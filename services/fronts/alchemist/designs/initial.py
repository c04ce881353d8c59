"""Initial designs: by a worker where a space is to be filled, else with the structure of their kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.flow.define import SEED_LIMIT
from services.fronts.alchemist.learning.asking import answer
from services.fronts.alchemist.refusals import INFEASIBLE, NO_VARIABLES, NOT_ESTIMABLE, Refusal
from services.fronts.alchemist.sessions import campaign
from services.fronts.alchemist.sessions.keeping import find
from services.fronts.alchemist.sessions.problem import problem_of
from services.fronts.alchemist.sessions.session import Constraint, Session
from services.fronts.alchemist.visit import Visit
from services.ports import Store

from . import classical, hammersley
from .classical import (
    BOX,
    COMPOSITE,
    FRACTION,
    FULL,
    SCREEN,
    SUBSET,
    Made,
    Spec,
)
from .factors import Factor, Point, factors, keeps

HAMMERSLEY, LHS = "hammersly", "lhs"
#: What fills a space, in Labqueue's words.
FILLING: Mapping[str, str] = {
    "random": "random",
    LHS: "latin_hypercube",
    "sobol": "sobol",
    "halton": "halton",
}
METHODS = (*FILLING, HAMMERSLEY, FULL, FRACTION, COMPOSITE, BOX, SCREEN, SUBSET)
#: The model that a design is made to estimate.
_IMPLIED = {FULL: "interaction", FRACTION: "interaction", COMPOSITE: "quadratic", BOX: "quadratic"}
COUNT = 10

Json = dict[str, Any]


@dataclass(frozen=True)
class Wish:
    """`count`: of points, where a space is filled. `anyway`: what constraints leave of a structure, whatever it is
    still good for."""

    spec: Spec
    count: int = COUNT
    seed: int | None = None
    anyway: bool = False


@dataclass(frozen=True)
class Region:
    """Some of a session's variables, and the constraints on them."""

    session: Session
    factors: Sequence[Factor]
    rules: Sequence[Constraint] = field(default_factory=tuple)


async def initial(visit: Visit, session_id: str, wish: Wish) -> Json:
    """Of a Latin hypercube it says the criterion, None where it was made by none. Raises Refusal (404; 400 where the
    variables or constraints do not allow such a design)."""
    region = await visit.run(whole, visit.store, session_id)
    info = feasibility = None
    criterion: Json = {}
    if wish.spec.method in FILLING:
        wanted = (visit, region, wish.spec, wish.count, seed_of(visit, wish.seed), wish.count)
        cubes = await _hypercubes(*wanted)
        points = await _by_worker(*wanted) if cubes is None else cubes
        if wish.spec.method == LHS:
            criterion = {"lhs_criterion": None if cubes is None else wish.spec.criterion}
    elif wish.spec.method == HAMMERSLEY:
        points = await visit.run(hammersley.points, region.factors, wish.count, region.rules)
    else:
        made = await visit.run(structured, region, wish.spec, anyway=wish.anyway)
        points, info = made.points, made.info
    if region.rules:
        gate = "waived" if wish.anyway else "passed"
        feasibility = {
            "constraints_applied": [each.name for each in region.rules],
            "n_candidates_total": None,
            "n_candidates_feasible": None,
            "n_boundary_added": None,
            "n_vertices_added": None,
            "vertex_enumeration_skipped": None,
            "n_points_dropped": None if info is None else info["total_runs"] - len(points),
            "estimability": "not_applicable" if info is None else gate,
        }
    return {
        "points": points,
        "method": wish.spec.method,
        "n_points": len(points),
        "design_info": info,
        "feasibility": feasibility,
        **criterion,
    }


def whole(store: Store, session_id: str) -> Region:
    """Raises Refusal (404, 400 without variables to choose)."""
    with store.begin() as tx:
        session = find(tx, session_id)
    found = factors(session)
    if not found:
        raise Refusal("No variables defined. Add variables to search space first.", NO_VARIABLES)
    return Region(session, found, session.constraints)


def seed_of(visit: Visit, seed: int | None) -> int:
    return visit.context.ids.seed() if seed is None else abs(seed) % SEED_LIMIT


async def filled(
    visit: Visit, region: Region, spec: Spec, count: int, seed: int, each: int | None = None
) -> list[Point]:
    """Inside the constraints; fewer points where a finite space has no more. `each`: points of one Latin hypercube, of
    which several follow each other."""
    found = await _hypercubes(visit, region, spec, count, seed, each or count)
    return await _by_worker(visit, region, spec, count, seed, each or count) if found is None else found


async def _hypercubes(
    visit: Visit, region: Region, spec: Spec, count: int, seed: int, each: int
) -> list[Point] | None:
    """By their criterion; None where another design is wanted, constraints bound it, or points would be the same."""
    if spec.method != LHS or region.rules:
        return None
    from . import latin  # numpy

    return await visit.run(latin.points, region.factors, count, each, spec.criterion, seed)


async def _by_worker(
    visit: Visit, region: Region, spec: Spec, count: int, seed: int, each: int
) -> list[Point]:
    session = region.session
    await visit.act(campaign.ensure, visit.store, visit.context.ids, session.id, visit.actor)
    names = [factor.name for factor in region.factors]
    mine = tuple(variable for variable in session.variables if variable.name in names)
    problem = problem_of(replace(session, variables=mine, constraints=tuple(region.rules)))
    request = {
        "count": count,
        "seed": seed,
        "strategy": {"method": "design", "design": {"kind": FILLING[spec.method]}, "initial": each},
        "problem": {name: problem[name] for name in ("parameters", "constraints")},
    }
    try:
        found = await answer(visit, session.id, "suggest", request)
    except Refusal as refusal:
        if "leave no point" in str(refusal):
            raise Refusal(str(refusal), INFEASIBLE) from refusal
        raise
    points = (candidate["parameters"] for candidate in found["candidates"])
    return [{name: point[name] for name in names} for point in points]


def structured(region: Region, spec: Spec, *, anyway: bool = False) -> Made:
    """What the constraints leave of it. Raises Refusal (400) where that is nothing, or where it can no longer estimate
    what the whole could, unless `anyway`."""
    made = classical.make(region.factors, spec)
    left = [each for each in made.points if keeps(each, region.rules)]
    if not left:
        raise Refusal(
            f"No '{spec.method}' design points satisfy the input constraints, and its structure is fixed. Use a "
            "space-filling method (random, lhs, sobol), an optimal design, or relax the constraints.",
            INFEASIBLE,
        )
    if len(left) < len(made.points) and not anyway:
        from . import terms  # numpy

        model = _IMPLIED.get(spec.method, "linear")
        lost = terms.lost(model, region.factors, made.points, left)
        if lost:
            raise Refusal(
                f"{len(made.points) - len(left)} of {len(made.points)} '{spec.method}' design points violate the "
                f"input constraints. The {len(left)} that are left cannot estimate these terms of its {model} model any "
                f"more: {', '.join(lost)}. Use an optimal design or a space-filling method (random, lhs, sobol), or pass "
                "allow_infeasible=true for what is left.",
                NOT_ESTIMABLE,
            )
    return Made(left, made.info)
