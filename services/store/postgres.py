"""Postgres behind the ports: the only truth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property

from labqueue.errors import UnavailableError

from .campaigns import PostgresCampaigns, PostgresQueues
from .documents import PostgresDocuments
from .driver import Driver
from .engine import make_engine, session_sql
from .errors import connecting
from .events import PostgresEvents, PostgresOutbox
from .experiments import PostgresExperiments
from .files import PostgresFiles
from .learning import PostgresInquiries, PostgresJobs, PostgresModels, PostgresSeats, PostgresSuggestions
from .operations import PostgresArtifacts, PostgresLiveness, PostgresTokens, PostgresWebhooks
from .pools import PostgresPools
from .results import PostgresResults
from .runs import PostgresAttempts, PostgresBatches, PostgresClaims, PostgresInstruments
from .session import Session
from .views import Views

#: Settings whose `off` lets Postgres lose what it acknowledged.
SAFETY = ("fsync", "full_page_writes", "synchronous_commit")


class PostgresTransaction:
    """`services.ports.Transaction`; each port is made when first asked for."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @cached_property
    def queues(self) -> PostgresQueues:
        return PostgresQueues(self._session)

    @cached_property
    def campaigns(self) -> PostgresCampaigns:
        return PostgresCampaigns(self._session)

    @cached_property
    def experiments(self) -> PostgresExperiments:
        return PostgresExperiments(self._session)

    @cached_property
    def attempts(self) -> PostgresAttempts:
        return PostgresAttempts(self._session)

    @cached_property
    def instruments(self) -> PostgresInstruments:
        return PostgresInstruments(self._session)

    @cached_property
    def claims(self) -> PostgresClaims:
        return PostgresClaims(self._session)

    @cached_property
    def batches(self) -> PostgresBatches:
        return PostgresBatches(self._session)

    @cached_property
    def results(self) -> PostgresResults:
        return PostgresResults(self._session)

    @cached_property
    def events(self) -> PostgresEvents:
        return PostgresEvents(self._session)

    @cached_property
    def outbox(self) -> PostgresOutbox:
        return PostgresOutbox(self._session)

    @cached_property
    def jobs(self) -> PostgresJobs:
        return PostgresJobs(self._session)

    @cached_property
    def models(self) -> PostgresModels:
        return PostgresModels(self._session)

    @cached_property
    def seats(self) -> PostgresSeats:
        return PostgresSeats(self._session)

    @cached_property
    def suggestions(self) -> PostgresSuggestions:
        return PostgresSuggestions(self._session)

    @cached_property
    def inquiries(self) -> PostgresInquiries:
        return PostgresInquiries(self._session)

    @cached_property
    def tokens(self) -> PostgresTokens:
        return PostgresTokens(self._session)

    @cached_property
    def artifacts(self) -> PostgresArtifacts:
        return PostgresArtifacts(self._session)

    @cached_property
    def documents(self) -> PostgresDocuments:
        return PostgresDocuments(self._session)

    @cached_property
    def files(self) -> PostgresFiles:
        return PostgresFiles(self._session)

    @cached_property
    def pools(self) -> PostgresPools:
        return PostgresPools(self._session)

    @cached_property
    def webhooks(self) -> PostgresWebhooks:
        return PostgresWebhooks(self._session)

    @cached_property
    def liveness(self) -> PostgresLiveness:
        return PostgresLiveness(self._session)

    def now(self) -> datetime:
        return self._session.began()


class PostgresStore:
    """`services.ports.Store` on a pool of connections. Connects when first used.

    A connection that broke is thrown away and one that the server closed meanwhile is not handed out; a
    transaction that met the break raises UnavailableError, and its caller tries again.
    """

    def __init__(
        self, url: str, pool_size: int = 8, prepared: bool = True, *, name: str = "labqueue"
    ) -> None:
        self._engine = make_engine(url, pool_size=pool_size, prepared=prepared, name=name)
        self._prepared = prepared
        self._settings = "" if prepared else session_sql()

    @contextmanager
    def begin(self) -> Iterator[PostgresTransaction]:
        with self.session() as session:
            yield PostgresTransaction(session)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction for statements of one's own."""
        with connecting():
            pooled = self._engine.raw_connection()
        driver = pooled.info.get(Driver)
        if driver is None:
            driver = pooled.info[Driver] = Driver(pooled.driver_connection, prepared=self._prepared)  # type: ignore[arg-type]
        session = Session(driver, self._settings)
        usable = False
        try:
            session.open()
            yield session
            session.commit()
            usable = True
        except BaseException:
            usable = session.undo()
            raise
        finally:
            if not usable:
                pooled.invalidate()
            pooled.close()

    @cached_property
    def views(self) -> Views:
        """Read-only listings."""
        return Views(self.session)

    def check_safety(self) -> None:
        """Raises UnavailableError where Postgres is set to lose what it has acknowledged."""
        with self.session() as session:
            rows = session.rows("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(SAFETY)])
        unsafe = sorted(name for name, setting in rows if setting == "off")
        if unsafe:
            names = " and ".join(unsafe)
            raise UnavailableError(
                f"Postgres runs with {names} off and could lose results that were acknowledged. "
                f"Set {names} = on and start again."
            )

    def close(self) -> None:
        """Closes the pooled connections. The store can be used again."""
        self._engine.dispose()
