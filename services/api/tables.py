"""A campaign's experiments and results as CSV, read from the database a page at a time while they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from starlette.responses import Response, StreamingResponse

from labqueue.problem import ROW, Problem
from labqueue.states import State
from models.domain import records as r
from models.domain.as_run import as_run
from models.domain.reconcile import CODE, ID
from services.api.answers import csv_lines
from services.api.listings import experiments_page, results_page
from services.api.shapes import Json
from services.flow.shared import problem_of
from services.store.postgres import PostgresStore

CSV_PAGE = 1000


def csv_answer(lines: Iterable[bytes], name: str) -> Response:
    """`lines` are made in a thread as they are sent."""
    plain = "".join(each if each.isascii() and (each.isalnum() or each in "-_.") else "_" for each in name)
    headers = {"Content-Disposition": f'attachment; filename="{plain}.csv"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8; header=present", headers=headers)


def experiments_csv(store: PostgresStore, campaign: r.Campaign, state: State | None) -> Iterable[bytes]:
    """One column per parameter and output; read from the database a page at a time as it is sent."""
    problem = problem_of(campaign)
    plain = _ours(
        problem,
        "id",
        "code",
        "state",
        "origin",
        "priority",
        "reason",
        "outcome",
        "attempts_made",
        "staged_at",
        "finished_at",
    )
    header = [
        *plain,
        *_columns(problem),
        *(each.name for each in problem.outputs),
        *(["payload"] if problem.opaque else []),
    ]

    def rows() -> Iterable[Sequence[Any]]:
        for each in _all_pages(lambda after: experiments_page(store, campaign, state, after, CSV_PAGE)):
            parameters, outputs = each["parameters"] or {}, each["outputs"]
            yield [
                *(each[name] for name in plain),
                *(parameters.get(name) for name in _columns(problem)),
                *(outputs.get(name) for name in problem.output_names),
                *([each["payload"]] if problem.opaque else []),
            ]

    return csv_lines(header, rows())


def results_csv(store: PostgresStore, campaign: r.Campaign) -> Iterable[bytes]:
    """One column per parameter (actual where reported, else planned) and output.

    `standing` tells values that count from those that were corrected (`replaced` names them) or withdrawn; a row that
    corrects or withdraws another names it in `amends`."""
    problem = problem_of(campaign)
    plain = _ours(
        problem,
        "id",
        "experiment",
        "code",
        "kind",
        "amends",
        "standing",
        "replaced",
        "verdict",
        "outcome",
        "instrument",
        "actor",
        "recorded_at",
        "comment",
        "message",
    )
    header = [*plain, *_columns(problem), *problem.output_names]

    def rows() -> Iterable[Sequence[Any]]:
        for each in _all_pages(lambda after: results_page(store, campaign, after, CSV_PAGE)):
            each["replaced"] = ", ".join(each["replaced"])
            yield [
                *(each[name] for name in plain),
                *(each["as_run"].get(name) for name in _columns(problem)),
                *(each["outputs"].get(name) for name in problem.output_names),
            ]

    return csv_lines(header, rows())


def whole_csv(store: PostgresStore, campaign: r.Campaign) -> Iterable[bytes]:
    """A row per experiment: its parameters as they really were, where that is known, and its current outputs; what
    can be edited and imported again."""
    problem = problem_of(campaign)
    names = _columns(problem)
    # By code or, where that is the name of a parameter or output, by number: rows are paired with their experiments.
    plain = [*_ours(problem, CODE, ID)[:1], *_ours(problem, "state")]

    def rows() -> Iterable[Sequence[Any]]:
        after: int | None = 0
        while after is not None:
            found, after = experiments_page(store, campaign, None, after, CSV_PAGE)
            with store.begin() as tx:
                actual = tx.results.actual([each["id"] for each in found])
            for each in found:
                parameters = as_run(problem, {**(each["parameters"] or {}), **actual.get(each["id"], {})})
                outputs = each["outputs"]
                yield [
                    *(each["id" if name == ID else name] for name in plain),
                    *(parameters.get(name) for name in names),
                    *(outputs.get(name) for name in problem.output_names),
                ]

    return csv_lines([*plain, *names, *problem.output_names], rows())


def _ours(problem: Problem, *names: str) -> list[str]:
    """Of our own columns those whose name the problem has no column of."""
    taken = {*_columns(problem), *problem.output_names}
    return [name for name in names if name not in taken]


def _columns(problem: Problem) -> tuple[str, ...]:
    return problem.names if problem.pool is None else (ROW, *problem.pool.columns)


def _all_pages(read: Callable[[int], tuple[list[Json], int | None]]) -> Iterable[Json]:
    after: int | None = 0
    while after is not None:
        rows, after = read(after)
        yield from rows
