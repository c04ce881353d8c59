"""Queues, campaigns and their versions in Postgres."""

from __future__ import annotations

from dataclasses import replace

from labqueue.states import LostLease
from models.domain import records as r
from models.tables import campaigns as tables

from .rows import Shape, columns, dumps
from .session import Session

QUEUE = Shape(r.Queue, tables.queues, enums={"on_lost": LostLease})
_PROGRESS = ("data_revision", "accepted", "model_version", "model_revision", "model_accepted")
CAMPAIGN = Shape(
    r.Campaign,
    tables.campaigns,
    given=["id"],
    now=["created_at"],
    joined=dict.fromkeys(_PROGRESS, "p"),
)
VERSION = Shape(r.Version, tables.campaign_versions)
_KEPT = {"id", "name", "queue", "seed", "request_hash", "created_at"}
_CHANGING = [name for name in CAMPAIGN.types if name not in _KEPT]

_QUEUE_GET = f"SELECT {QUEUE.select('q')} FROM queues q WHERE name = %s"
_QUEUE_LOCK = f"{_QUEUE_GET} FOR NO KEY UPDATE"
_QUEUE_ALL = f"SELECT {QUEUE.select('q')} FROM queues q ORDER BY name"
_QUEUE_PUT = (
    QUEUE.insert_one
    + " ON CONFLICT (name) DO UPDATE SET "
    + ", ".join(f'"{name}" = excluded."{name}"' for name in QUEUE.fields if name != "name")
)

_FROM = f"SELECT {CAMPAIGN.select('c')} FROM campaigns c JOIN campaign_progress p ON p.campaign_id = c.id"
_GET = f"{_FROM} WHERE c.name = %s"
_BY_ID = f"{_FROM} WHERE c.id = %s"
# NO KEY: inserting experiments and events of the campaign, which takes KEY SHARE, goes on meanwhile.
_LOCK = f"{_GET} FOR NO KEY UPDATE OF c"
_ALL = f"{_FROM} WHERE %s::text IS NULL OR c.state = %s ORDER BY c.id"
# A page or two of an index for each of the owner's own campaigns, however much they have run. Both are looked up
# row by row: of EXISTS the planner might make a table of everything that waits.
_FLOWS = (
    f"SELECT {CAMPAIGN.select('c')}, a.weight, c.owner = %(owner)s AND c.state = 'active' AND ("
    "(SELECT e.id FROM experiments e WHERE e.campaign_id = c.id AND e.state IN ('staged', 'leased') LIMIT 1) "
    "IS NOT NULL OR coalesce((SELECT e.created_at FROM experiments e WHERE e.campaign_id = c.id ORDER BY e.number DESC LIMIT 1), "
    "c.created_at) > clock_timestamp() - make_interval(secs => %(rest)s)) "
    "FROM campaigns c JOIN campaign_progress p ON p.campaign_id = c.id JOIN actors a ON a.name = c.owner "
    "WHERE c.queue = %(queue)s AND c.state <> 'finished' ORDER BY c.id"
)
# An owner's weight is divided among the owner's campaigns by theirs (`models.domain.ordering.rate`).
_SHARE = """
WITH fed AS (
    SELECT c.id, c.owner, c.weight, a.weight AS owner_weight FROM campaigns c JOIN actors a ON a.name = c.owner
    WHERE c.queue = (SELECT queue FROM campaigns WHERE id = %s)
        AND (c.id = %s OR (c.state = 'active' AND c.strategy->>'method' <> 'caller')))
SELECT mine.owner_weight * mine.weight / (SELECT sum(weight) FROM fed WHERE owner = mine.owner)
    / (SELECT sum(owner_weight) FROM (SELECT DISTINCT owner, owner_weight FROM fed) owners)
FROM fed mine WHERE mine.id = %s"""
_ADD = (
    f"WITH new AS ({CAMPAIGN.insert_one} RETURNING id, created_at), progress AS ("
    "INSERT INTO campaign_progress (campaign_id, data_revision, accepted, model_version, model_revision, "
    "model_accepted) SELECT id, 0, 0, 0, 0, 0 FROM new) SELECT id, created_at FROM new"
)
_SAVE = CAMPAIGN.update_one(["id"], _CHANGING)
_ADD_VERSION = (
    f"INSERT INTO campaign_versions ({columns(['campaign_id', 'kind', 'number', 'body', 'actor', 'reason'])}) "
    "VALUES (%s, %s, %s, %s::jsonb, %s, %s)"
)
_VERSION = "SELECT body FROM campaign_versions WHERE campaign_id = %s AND kind = %s AND number = %s"

_VERSIONS = (
    f"SELECT {VERSION.select('v')} FROM campaign_versions v WHERE v.campaign_id = %s "
    "ORDER BY v.created_at, v.kind, v.number"
)


class PostgresQueues:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, name: str) -> r.Queue | None:
        return self._session.one_of(QUEUE, _QUEUE_GET, [name])

    def lock(self, name: str) -> r.Queue | None:
        return self._session.one_of(QUEUE, _QUEUE_LOCK, [name])

    def put(self, queue: r.Queue) -> None:
        self._session.run(_QUEUE_PUT, QUEUE.values(queue, QUEUE.inserted))

    def all(self) -> list[r.Queue]:
        return self._session.all_of(QUEUE, _QUEUE_ALL)


class PostgresCampaigns:
    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, name: str) -> r.Campaign | None:
        return self._session.one_of(CAMPAIGN, _GET, [name])

    def by_id(self, id: int) -> r.Campaign | None:
        return self._session.one_of(CAMPAIGN, _BY_ID, [id])

    def lock(self, name: str) -> r.Campaign | None:
        return self._session.one_of(CAMPAIGN, _LOCK, [name])

    def add(self, campaign: r.Campaign) -> r.Campaign:
        row = self._session.row(_ADD, CAMPAIGN.values(campaign, CAMPAIGN.inserted))
        assert row is not None  # an insert returns its row
        return replace(
            campaign,
            id=row[0],
            created_at=row[1],
            data_revision=0,
            accepted=0,
            model_version=0,
            model_revision=0,
            model_accepted=0,
        )

    def save(self, campaign: r.Campaign) -> None:
        self._session.run(_SAVE, [*CAMPAIGN.values(campaign, _CHANGING), campaign.id])

    def add_version(
        self, campaign_id: int, kind: str, number: int, body: r.Json, actor: str, reason: str
    ) -> None:
        self._session.run(_ADD_VERSION, [campaign_id, kind, number, dumps(body), actor, reason])

    def version(self, campaign_id: int, kind: str, number: int) -> r.Json:
        return self._session.value(_VERSION, [campaign_id, kind, number])

    def versions(self, campaign_id: int) -> list[r.Version]:
        return self._session.all_of(VERSION, _VERSIONS, [campaign_id])

    def all(self, *, state: str | None = None) -> list[r.Campaign]:
        return self._session.all_of(CAMPAIGN, _ALL, [state, state])

    def flows(self, queue: str, owner: str, rest: float) -> list[tuple[r.Campaign, float, bool]]:
        rows = self._session.rows(_FLOWS, {"queue": queue, "owner": owner, "rest": float(rest)})
        return [(CAMPAIGN.load(row[:-2]), row[-2], row[-1]) for row in rows]

    def share(self, campaign_id: int) -> float:
        return float(self._session.value(_SHARE, [campaign_id] * 3))

    def owner(self, name: str) -> float:
        find = "SELECT weight FROM actors WHERE name = %s"
        weight = self._session.value(find, [name])
        if weight is None:
            self._session.run(
                "INSERT INTO actors (name, kind, weight) VALUES (%s, 'person', 1) ON CONFLICT DO NOTHING",
                [name],
            )
            weight = self._session.value(find, [name])
        return float(weight)
