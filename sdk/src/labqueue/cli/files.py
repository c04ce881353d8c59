"""What people hand over as files and arguments: campaigns, rows to stage, name=value pairs."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labqueue.errors import FieldError, InvalidError
from labqueue.lines import Lines, TextError, read_json, read_yaml
from labqueue.parse import Reader
from labqueue.policy import read_policy
from labqueue.problem import ROW, Categorical, Fixed, Problem, did_you_mean
from labqueue.strategy import Strategy

YAML_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class CampaignFile:
    """A campaign as a file describes it, checked. `policy`: what its queue must be like; the queue is made where it is missing."""

    name: str
    queue: str
    problem: Problem
    strategy: Strategy
    owner: str | None = None
    weight: float | None = None
    seed: int | None = None
    policy: Mapping[str, Any] | None = None
    path: str = ""
    lines: Lines = field(default_factory=Lines, compare=False, repr=False)

    def placed(self, error: InvalidError) -> InvalidError:
        """What a server said about the definition, each fault with its line in the file."""
        return InvalidError(
            error.message, errors=[self.lines.place(self.path, each) for each in error.errors]
        )


def read_document(path: str) -> Any:
    """JSON, or YAML by the file's ending; `-` is the standard input. InvalidError where it cannot be read."""
    return _read(path)[0]


def _read(path: str) -> tuple[Any, Lines]:
    text = sys.stdin.read() if path == "-" else _text(path)
    yaml = Path(path).suffix.lower() in YAML_ENDINGS
    try:
        return read_yaml(text) if yaml else read_json(text)
    except ImportError:
        raise InvalidError(
            f"{path} is YAML, and PyYAML is not installed here. Write the same as JSON, or pip install pyyaml."
        ) from None
    except TextError as error:
        raise InvalidError(f"{path} is no {'YAML' if yaml else 'JSON'} that can be read: {error}.") from None


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidError(f"{path} is not UTF-8 text; save it as such.") from None


def read_campaign(path: str) -> CampaignFile:
    """Reads and checks a campaign file; InvalidError names every wrong field at once, with its line."""
    reader = Reader()
    document, lines = _read(path)
    body = reader.object(document, "the file")
    reader.only(body, ("name", "queue", "owner", "problem", "strategy", "weight", "seed", "queue_policy"), "")
    name, queue = reader.text(body, "name", "", limit=200), reader.text(body, "queue", "", limit=200)
    owner = reader.text(body, "owner", "", "", limit=200) or None
    weight = None if body.get("weight") is None else reader.number(body, "weight", "")
    seed = None if body.get("seed") is None else reader.whole(body, "seed", "")
    given = body.get("queue_policy")
    policy = None if given is None else read_policy(reader, given, "queue_policy")
    problem = _collect(reader, lambda: Problem.from_json(body.get("problem")))
    strategy = _collect(reader, lambda: Strategy.from_json(body.get("strategy")))
    if reader.errors:
        errors = [lines.place(path, each) for each in reader.errors]
        raise InvalidError(f"The campaign in {path} cannot be used as it stands.", errors=errors)
    return CampaignFile(name, queue, problem, strategy, owner, weight, seed, policy, path, lines)


def _collect(reader: Reader, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except InvalidError as error:
        reader.errors.extend(error.errors)
        return None


def pairs(words: Sequence[str], problem: Problem | None = None) -> dict[str, Any]:
    """name=value words; a number where it reads as one, unless the problem's parameter is a category."""
    wrong = [word for word in words if "=" not in word or word.startswith("=")]
    if wrong:
        errors = [FieldError(word, "is not name=value.") for word in wrong]
        raise InvalidError("The arguments cannot be used as they stand.", errors=errors)
    split = [word.split("=", 1) for word in words]
    given = [name for name, _ in split]
    if len(set(given)) < len(given):
        twice = sorted({name for name in given if given.count(name) > 1})
        errors = [FieldError(name, "is given more than once.") for name in twice]
        raise InvalidError("The arguments cannot be used as they stand.", errors=errors)
    return {name: typed(name, value, problem) for name, value in split}


def typed(name: str, text: str, problem: Problem | None = None) -> Any:
    """The value of a cell or an argument: whole number, number, or text."""
    if problem is not None and _is_text(name, problem):
        return text
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return text


def _is_text(name: str, problem: Problem) -> bool:
    if problem.pool is not None:
        return name == ROW
    if name not in problem.names:
        return False
    parameter = problem.parameter(name)
    return isinstance(parameter, Categorical) or (
        isinstance(parameter, Fixed) and isinstance(parameter.value, str)
    )


def _columns(problem: Problem) -> tuple[list[str], list[str]]:
    """The columns that rows of a problem may have, and those that they must have."""
    if problem.pool is not None:
        return [ROW, *problem.pool.columns], [ROW]
    must = [each.name for each in problem.planned if each.when is None and not isinstance(each, Fixed)]
    return [each.name for each in problem.planned], must


def read_rows(path: str, problem: Problem) -> list[dict[str, Any]]:
    """The rows of a CSV file as items to stage: one column per parameter, also `priority` and `reason`.

    An empty cell leaves out a parameter that is fixed, or that does not exist in every experiment. InvalidError
    names every line that is cut short or too long, and every column that is not known.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        try:
            lines = list(csv.reader(file, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            raise InvalidError(f"{path} is no CSV that can be read: {error}.") from None
    header = [name.strip() for name in lines[0]] if lines else []
    names, must = _columns(problem)
    more = [name for name in ("priority", "reason") if name in header and name not in names]
    known = [*names, *more]
    errors = [
        FieldError(
            name, "is no parameter of this campaign.", None, ", ".join(known), did_you_mean(name, known)
        )
        for name in header
        if name not in known
    ]
    errors += [
        FieldError(name, "is missing: each parameter needs a column.") for name in must if name not in header
    ]
    items = []
    for number, cells in enumerate(lines[1:], 2):
        if not cells:
            continue
        if len(cells) != len(header):
            errors.append(FieldError(f"line {number}", f"has {len(cells)} cells instead of {len(header)}."))
            continue
        row = dict(zip(header, (text.strip() for text in cells)))
        item: dict[str, Any] = {name: typed(name, row.pop(name)) for name in more}
        item["parameters"] = {
            name: typed(name, text, problem) for name, text in row.items() if text or name in must
        }
        items.append(item)
    if not items and not errors:
        errors.append(FieldError("rows", "are missing: the file has none below its header."))
    if errors:
        raise InvalidError(f"Nothing was staged: {path} cannot be used as it stands.", errors=errors)
    return items
