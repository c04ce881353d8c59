"""labqueue pool: tables of rows that may be run."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .connect import Verbs, add_json, client
from .show import cell, dump, many, moment, table


def add(verbs: Verbs, common: argparse.ArgumentParser) -> None:
    group = verbs.add_parser("pool", help="upload, list, show")
    actions = group.add_subparsers(metavar="ACTION", required=True)
    one = actions.add_parser(
        "upload", parents=[common], help="send a table of rows that may be run: CSV with a header, or Parquet"
    )
    one.add_argument("pool", help="what campaigns call it; other rows under the same name are a new version")
    one.add_argument("file")
    one.add_argument("--id", metavar="COLUMN", default="id", help="the column of the ids (default id)")
    one.add_argument(
        "--category",
        metavar="COLUMN",
        action="append",
        default=[],
        help="a column of categories, though it looks like numbers; may be given again",
    )
    add_json(one)
    one.set_defaults(call=upload)
    one = actions.add_parser("list", parents=[common], help="all pools")
    add_json(one)
    one.set_defaults(call=list_all)
    one = actions.add_parser(
        "show", parents=[common], help="a pool's columns and versions, or one of its rows"
    )
    one.add_argument("pool")
    one.add_argument("row", nargs="?", help="the id of a row")
    add_json(one)
    one.set_defaults(call=show)


def upload(args: argparse.Namespace) -> int:
    path = Path(args.file)
    found = client(args).upload_pool(
        args.pool, lambda: path.open("rb"), path.stat().st_size, id=args.id, categories=args.category
    )
    print(dump(found) if args.json else f"The pool {_said(found)}.")
    return 0


def list_all(args: argparse.Namespace) -> int:
    found = client(args).pools()
    if args.json:
        print(dump(found))
        return 0
    header = ("name", "version", "rows", "columns", "uploaded", "by")
    rows = [
        (
            each.get("name"),
            each.get("version"),
            each.get("rows"),
            len(each.get("columns") or ()),
            moment(each.get("created_at")),
            each.get("actor"),
        )
        for each in found
    ]
    print(
        table(header, rows) if rows else "There is no pool yet. `labqueue pool upload NAME FILE` sends one."
    )
    return 0


def show(args: argparse.Namespace) -> int:
    found = client(args).pool(args.pool) if args.row is None else client(args).pool_row(args.pool, args.row)
    if args.json:
        print(dump(found))
    elif args.row is not None:
        print("\n".join(f"{name:14} {cell(value)}".rstrip() for name, value in found.items()))
    else:
        columns = [(each.get("name"), each.get("kind"), _values(each)) for each in found.get("columns") or ()]
        print(table(("column", "kind", "values"), columns))
        print("\n".join(f"{_said(each)}, {moment(each.get('created_at'))}" for each in found["versions"]))
    return 0


def _said(found: Mapping[str, Any]) -> str:
    columns = many(len(found.get("columns") or ()), "column")
    rows = many(found.get("rows") or 0, "row")
    return f"{found.get('name')}, version {found.get('version')}: {rows}, {columns}"


def _values(column: Mapping[str, Any]) -> str:
    if column.get("categories") is not None:
        return cell(column["categories"])
    return f"{cell(column.get('low'))} to {cell(column.get('high'))}"
