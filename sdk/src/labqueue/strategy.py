"""A campaign's strategy: how to suggest, how deep to stage, when to stop. Frozen; read from JSON or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Union

from .errors import InvalidError
from .parse import Reader
from .problem.expression import LENGTH_LIMIT, ExpressionError, parse

AHEAD, SEQUENTIAL = "ahead", "sequential"
BAYESIAN, DESIGN, CALLER, LEARNER = "bayesian", "design", "caller", "learner"
AUTO = "auto"

SOBOL, MAXIMIN = "sobol", "maximin"
DESIGNS = (
    AUTO,
    SOBOL,
    "latin_hypercube",
    "halton",
    "random",
    MAXIMIN,
    "full_factorial",
    "fractional_factorial",
    "central_composite",
    "box_behnken",
    "plackett_burman",
    "d_optimal",
)
#: These fill a space with as many points as wanted; the others have a number of points of their own.
FILLING = (AUTO, SOBOL, "latin_hypercube", "halton", "random", MAXIMIN, "d_optimal")

#: Points of a design.
POINT_LIMIT = 10_000

#: One model of all numbers together, so that related ones learn from each other.
MULTI_OUTPUT = "multi_output"
SURROGATES = (AUTO, "gp", MULTI_OUTPUT, "saas", "robust", "variational", "ensemble", "forest")
#: Radial basis functions, and Matern kernels of smoothness 1/2, 3/2 and 5/2.
KERNELS = (AUTO, "rbf", "matern12", "matern32", "matern52")
#: The kinds of model that take a named kernel.
_TAKES_KERNEL = (AUTO, "gp", MULTI_OUTPUT, "robust")
ACQUISITIONS = (
    AUTO,
    "log_ei",
    "log_nei",
    "log_nehvi",
    "ucb",
    "knowledge_gradient",
    "thompson",
    "uncertainty",
    "entropy",
    "disagreement",
    "random",
)
JOINT, PESSIMISTIC, POSTERIOR = "joint", "pessimistic", "posterior"
PENDING = (JOINT, PESSIMISTIC, POSTERIOR)
METRICS = ("rmse", "nll", "r2", "rank", "accuracy")
FALLBACKS = (BAYESIAN, DESIGN)


@dataclass(frozen=True)
class Design:
    """The initial design.

    kind    Sobol, Latin hypercube, Halton, random, maximin and D-optimal ones have as many points as
            `Strategy.initial`; factorial, central composite, Box-Behnken and Plackett-Burman ones have a number of
            their own. `auto`: maximin where every parameter is one of some values and a category has descriptors,
            else Sobol
    levels  of each continuous parameter in a full factorial (a parameter of fewer values has those)
    center  how many centre points are added to a design that has levels
    """

    kind: str = AUTO
    levels: int = 2
    center: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Share:
    """An acquisition function, and the share of the candidates that it chooses (shares of a mixture sum to 1)."""

    acquisition: str = AUTO
    share: float = 1.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Plateau:
    """A model that got no better: `metric` of the objective's output `output` ("": the first objective's) improved by less
    than the share `tolerance` over the last `versions` model versions."""

    metric: str = "rmse"
    versions: int = 5
    tolerance: float = 0.02
    output: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class StopRules:
    """When a campaign is done: as soon as `any` of the rules that are set holds, or when `all` of them do.

    budget          experiments completed (held and cancelled ones do not count)
    hours           since the campaign began, waiting included
    cost            the sum of the strategy's `cost` over the experiments completed
    target          a score that is good enough; with a Pareto front {output: value}, all reached by one experiment
    no_improvement  completed experiments since the best score last rose (since the front last changed), but none of
                    those until the initial design before a model was complete
    gain            the least expected improvement of the score that is worth another experiment
    plateau         the model stopped getting better
    """

    budget: int | None = None
    hours: float | None = None
    cost: float | None = None
    target: Union[float, Mapping[str, float], None] = None
    no_improvement: int | None = None
    gain: float | None = None
    plateau: Plateau | None = None
    when: str = "any"

    def to_json(self) -> dict[str, Any]:
        return {
            "budget": self.budget,
            "hours": self.hours,
            "cost": self.cost,
            "target": dict(self.target) if isinstance(self.target, Mapping) else self.target,
            "no_improvement": self.no_improvement,
            "gain": self.gain,
            "plateau": None if self.plateau is None else self.plateau.to_json(),
            "when": self.when,
        }


@dataclass(frozen=True)
class Strategy:
    """How a campaign chooses its experiments.

    method       `bayesian` (an initial design, then a model), `design` (the design alone), `caller` (the caller
                 stages), or `learner` (a learner of the user's own, which `learner` names)
    fallback     with `learner`: what chooses while that learner is away
    design, initial    the design before a model is asked, and its number of points (0: a learner begins from nothing)
    surrogate    the kind of model; `auto`: chosen by the problem and the number of rows
    kernel       of its Gaussian processes; `auto`: those that the evidence prefers
    acquisition  what makes a point worth measuring; several by share
    pending      how points in flight enter: `joint` (they are unknown, and averaged over), `pessimistic` (they are
                 taken to come out badly), `posterior` (only their uncertainty is gone)
    beta         of the upper confidence bound: how many variances of optimism
    cost         what an experiment costs, an expression over parameters: worth is then reckoned per cost
    replicates   points that were measured may be chosen again
    depth        how many experiments are kept staged ahead of the instruments; None: as many as the live instruments
                 and their observed durations need
    margin       how much more worth (as a share) a candidate needs to take a staged one's place
    mode         `ahead`: the queue is refilled at once, with what is known then, and unclaimed candidates give
                 way to better ones when a new model is ready; `sequential`: one experiment at a time, each
                 chosen after every earlier result was learnt, so that a campaign repeats point for point
    approve      suggestions wait for a person as `proposed` before they are staged
    deadline     seconds that one suggestion may take; what is best by then is taken
    """

    method: str = BAYESIAN
    initial: int = 8
    design: Design = field(default_factory=Design)
    surrogate: str = AUTO
    kernel: str = AUTO
    acquisition: tuple[Share, ...] = (Share(),)
    pending: str = JOINT
    beta: float = 4.0
    cost: str | None = None
    replicates: bool = False
    depth: int | None = None
    margin: float = 0.1
    mode: str = AHEAD
    approve: bool = False
    deadline: float = 30.0
    learner: str = ""
    fallback: str = BAYESIAN
    stop: StopRules = field(default_factory=StopRules)

    @property
    def models(self) -> bool:
        """Does a model of ours choose, always or as the fallback?"""
        return self.method == BAYESIAN or (self.method == LEARNER and self.fallback == BAYESIAN)

    def to_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "initial": self.initial,
            "design": self.design.to_json(),
            "surrogate": self.surrogate,
            "kernel": self.kernel,
            "acquisition": [each.to_json() for each in self.acquisition],
            "pending": self.pending,
            "beta": self.beta,
            "cost": self.cost,
            "replicates": self.replicates,
            "depth": self.depth,
            "margin": self.margin,
            "mode": self.mode,
            "approve": self.approve,
            "deadline": self.deadline,
            "learner": self.learner,
            "fallback": self.fallback,
            "stop": self.stop.to_json(),
        }

    @classmethod
    def from_json(cls, body: Any) -> Strategy:
        """Raises InvalidError that names every wrong field."""
        reader = Reader()
        fields = reader.object({} if body is None else body, "strategy")
        reader.only(
            fields,
            tuple(cls().to_json()),
            "strategy",
            {rule: f"stop.{rule}" for rule in StopRules().to_json()},
        )
        strategy = _read(reader, fields)
        if reader.errors:
            raise InvalidError("The strategy cannot be used as it stands.", errors=reader.errors)
        return strategy


def _read(reader: Reader, fields: Mapping[str, Any]) -> Strategy:
    place = "strategy"
    method = reader.choice(fields, "method", place, (BAYESIAN, DESIGN, CALLER, LEARNER), default=BAYESIAN)
    learner = reader.text(fields, "learner", place, default="", limit=100)
    if method == LEARNER and not learner.strip():
        reader.wrong(f"{place}.learner", "must name the learner that chooses.", learner)
    if method != LEARNER and learner:
        reader.wrong(f"{place}.method", "must be learner where a learner is named.", method)
    surrogate = reader.choice(fields, "surrogate", place, SURROGATES, default=AUTO)
    kernel = reader.choice(fields, "kernel", place, KERNELS, default=AUTO)
    if kernel != AUTO and surrogate not in _TAKES_KERNEL:
        allowed = ", ".join(_TAKES_KERNEL)
        reader.wrong(f"{place}.kernel", f"is for the surrogates {allowed}; leave it out.", kernel)
    return Strategy(
        method=method,
        initial=reader.whole(
            fields, "initial", place, default=8, low=0 if method == LEARNER else 1, high=POINT_LIMIT
        ),
        design=_read_design(reader, fields.get("design")),
        surrogate=surrogate,
        kernel=kernel,
        acquisition=_read_acquisition(reader, fields.get("acquisition")),
        pending=reader.choice(fields, "pending", place, PENDING, default=JOINT),
        beta=reader.positive(fields, "beta", place, default=4.0),
        cost=_read_cost(reader, fields),
        replicates=reader.flag(fields, "replicates", place, False),
        depth=None if fields.get("depth") is None else reader.whole(fields, "depth", place, low=1),
        margin=reader.positive(fields, "margin", place, default=0.1, zero=True),
        mode=reader.choice(fields, "mode", place, (AHEAD, SEQUENTIAL), default=AHEAD),
        approve=reader.flag(fields, "approve", place, False),
        deadline=reader.positive(fields, "deadline", place, default=30.0),
        learner=learner,
        fallback=reader.choice(fields, "fallback", place, FALLBACKS, default=BAYESIAN),
        stop=_read_stop(reader, fields.get("stop")),
    )


def _read_design(reader: Reader, body: Any) -> Design:
    place = "strategy.design"
    fields = {"kind": body} if isinstance(body, str) else reader.object(body or {}, place)
    reader.only(fields, ("kind", "levels", "center"), place)
    return Design(
        reader.choice(fields, "kind", place, DESIGNS, default=AUTO),
        reader.whole(fields, "levels", place, default=2, low=2, high=POINT_LIMIT),
        reader.whole(fields, "center", place, default=0, high=POINT_LIMIT),
    )


def _read_acquisition(reader: Reader, body: Any) -> tuple[Share, ...]:
    """One name, or a list of {acquisition, share}."""
    place = "strategy.acquisition"
    if body is None:
        return (Share(),)
    if isinstance(body, str):
        return (Share(reader.choice({"acquisition": body}, "acquisition", "strategy", ACQUISITIONS)),)
    found = []
    good = True
    for where, item in reader.objects({"acquisition": body}, "acquisition", "strategy", 10):
        reader.only(item, ("acquisition", "share"), where)
        name = reader.choice(item, "acquisition", where, ACQUISITIONS)
        faults = len(reader.errors)
        share = reader.number(item, "share", where, default=1.0)
        if len(reader.errors) == faults and not 0 < share <= 1:
            reader.wrong(f"{where}.share", "must be above 0 and at most 1.", share)
        good = good and len(reader.errors) == faults
        found.append(Share(name, share))
    total = sum(each.share for each in found)
    if found and good and abs(total - 1) > 1e-6:
        reader.wrong(place, f"has shares that sum to {total:g}; they must sum to 1.", total)
    if not found and not reader.errors:
        reader.wrong(place, "must name at least one acquisition function.", body)
    return tuple(found)


def _read_cost(reader: Reader, fields: Mapping[str, Any]) -> str | None:
    if fields.get("cost") is None:
        return None
    faults = len(reader.errors)
    text = reader.text(fields, "cost", "strategy", limit=LENGTH_LIMIT)
    if len(reader.errors) > faults:
        return None
    try:
        parse(text)
    except ExpressionError as error:
        reader.wrong("strategy.cost", f"{error}.", text)
    return text


def _read_stop(reader: Reader, body: Any) -> StopRules:
    place = "strategy.stop"
    fields: Mapping[str, Any] = reader.object({} if body is None else body, place)
    reader.only(fields, tuple(StopRules().to_json()), place)

    def whole(key: str) -> int | None:
        return None if fields.get(key) is None else reader.whole(fields, key, place, low=1)

    def positive(key: str) -> float | None:
        return None if fields.get(key) is None else reader.positive(fields, key, place)

    target: Union[float, Mapping[str, float], None] = None
    if isinstance(fields.get("target"), Mapping):
        target = {name: reader.number(fields["target"], name, f"{place}.target") for name in fields["target"]}
    elif fields.get("target") is not None:
        target = reader.number(fields, "target", place)
    when = reader.choice(fields, "when", place, ("any", "all"), default="any")
    # What was stored names every rule, with null for those that are not set, and must stay readable.
    if when == "all" and set(fields) == {"when"}:
        hint = "Name the rules that must hold together, such as budget and target, or leave when out."
        reader.wrong(f"{place}.when", "is all, but there are no rules to hold.", when, hint=hint)
    return StopRules(
        whole("budget"),
        positive("hours"),
        positive("cost"),
        target,
        whole("no_improvement"),
        positive("gain"),
        _read_plateau(reader, fields.get("plateau")),
        when,
    )


def _read_plateau(reader: Reader, body: Any) -> Plateau | None:
    if body is None:
        return None
    place = "strategy.stop.plateau"
    fields = reader.object(body, place)
    reader.only(fields, ("metric", "versions", "tolerance", "output"), place)
    return Plateau(
        reader.choice(fields, "metric", place, METRICS, default="rmse"),
        reader.whole(fields, "versions", place, default=5, low=1),
        reader.positive(fields, "tolerance", place, default=0.02, zero=True),
        reader.text(fields, "output", place, default="", limit=200),
    )
