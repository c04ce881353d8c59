"""What can be set from outside, read once and typed.

Every variable begins with LABQUEUE_ (PORT alone is also heard). A name that nobody knows is an error that
names the nearest known one, so that a typo cannot pass unseen. Passwords and tokens never show in text.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from labqueue.errors import FieldError, InvalidError

PREFIX = "LABQUEUE_"
POSTGRES_SOCKET = ".s.PGSQL.5432"
VALKEY_SOCKET = "valkey.sock"
# sockaddr_un holds 108 bytes on Linux and 104 on macOS, the closing zero included.
SOCKET_PATH_LIMIT = 100
_SECRET_QUERY_WORDS = ("password", "passwd", "secret", "token", "key")


def _switch(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


class SecretUrl(SecretStr):
    """An address that shows everything but its password."""

    def _display(self) -> str:
        return mask_url(self.get_secret_value())


class Settings(BaseModel):
    """All that Labqueue can be told, with the defaults of a stack on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    home: Path = Field(Path(".labqueue"), description="folder of the embedded servers' data, logs, artifacts")
    database_url: SecretUrl | None = Field(None, description="Postgres to use instead of the embedded one")
    redis_url: SecretUrl | None = Field(
        None, description="Redis or Valkey to use instead of the embedded one"
    )
    artifacts_url: SecretUrl | None = Field(None, description="fsspec address of artifacts; default: home")
    host: str = Field("127.0.0.1", min_length=1, description="address that the API binds to")
    port: int = Field(8000, ge=0, le=65535, description="port of the API")
    url: SecretUrl | None = Field(None, description="API that the SDK and the command line talk to")
    token: SecretStr | None = Field(None, description="token that the SDK and the command line show")
    body_limit: int = Field(1024 * 1024, ge=1024, description="largest JSON body, bytes")
    artifact_limit: int = Field(1024 * 1024 * 1024, ge=1024, description="largest artifact, bytes")
    file_limit: int = Field(
        1024 * 1024 * 1024, ge=1024, description="largest file in a campaign's folder, bytes"
    )
    files_limit: int = Field(1000, ge=1, le=10_000, description="most files in a campaign's folder")
    batch_limit: int = Field(500, ge=1, le=10_000, description="most items in one request")
    alchemist_ui: Path | None = Field(
        None, description="folder of ALchemist's page (api/static in its wheel); it is then shown at /"
    )
    keep_inquiries_days: float = Field(
        1.0, ge=0.01, le=3650, description="days that answers of the model are kept after their deadline"
    )
    keep_claims_days: float = Field(
        7.0, ge=1, le=3650, description="days that the key of a claim is kept, and while a lease of it lives"
    )
    keep_gone_days: float = Field(
        90.0, ge=1, le=3650, description="days that ended tokens, and instruments nobody heard of, are kept"
    )
    db_pool_size: int = Field(8, ge=1, le=500, description="database connections of one process")
    prepared_statements: Annotated[bool, BeforeValidator(_switch)] = Field(
        True, description="false behind a pooler that hands connections out by transaction"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_switch)] = Field(
        "info", description="least severe line that is logged"
    )
    log_format: Annotated[Literal["json", "console"], BeforeValidator(_switch)] = Field(
        "json", description="one JSON object a line, or text for people"
    )

    @property
    def embeds_postgres(self) -> bool:
        return self.database_url is None

    @property
    def embeds_redis(self) -> bool:
        return self.redis_url is None

    @property
    def sockets(self) -> Path:
        """The private folder of the embedded servers' sockets, the same for every process of this home."""
        return socket_folder(self.home)

    @property
    def database(self) -> str:
        """Where Postgres is: the address given, or the embedded server's."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return postgres_url(self.sockets)

    @property
    def redis(self) -> str:
        """Where Redis is, as redis-py spells it: the address given, or the embedded server's."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        return valkey_url(self.sockets)

    @property
    def celery_broker(self) -> str:
        """The same Redis as `redis`, as kombu spells it."""
        return kombu_url(self.redis)

    @property
    def artifacts(self) -> str:
        """The fsspec address under which artifacts are kept."""
        if self.artifacts_url is not None:
            return self.artifacts_url.get_secret_value()
        return f"file://{self.home.absolute() / 'artifacts'}"

    def environ(self) -> dict[str, str]:
        """The variables that make `load` return these settings; for the processes that we start. Not masked."""
        return {
            PREFIX + name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for name, value in self
            if value is not None
        }

    def shown(self) -> dict[str, str]:
        """Every variable and its value, for people: passwords and tokens are masked."""
        return {PREFIX + name.upper(): "" if value is None else str(value) for name, value in self}


def load(environ: Mapping[str, str], base: Path = Path()) -> Settings:
    """Read settings from `environ`; a relative LABQUEUE_HOME is taken from `base`.

    Raises InvalidError naming every variable that is unknown or cannot be read, and what would be allowed.
    """
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    errors = [_unknown(name, known) for name in environ if name.startswith(PREFIX) and name not in known]
    values: dict[str, Any] = {known[name]: text for name, text in environ.items() if name in known and text}
    if "port" not in values and environ.get("PORT"):
        values["port"] = environ["PORT"]
    values["home"] = base / Path(values.get("home", Settings.model_fields["home"].default)).expanduser()
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        errors += [_unreadable(str(detail["loc"][0]), detail["msg"], environ) for detail in error.errors()]
    if errors:
        raise InvalidError("The environment holds settings that cannot be used.", errors=errors)
    return settings


def current() -> Settings:
    """The settings of this process. Raises InvalidError as `load` does."""
    return load(os.environ, Path.cwd())


def _unknown(name: str, known: Mapping[str, str]) -> FieldError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return FieldError(name, "is not a known setting.", allowed=sorted(known), hint=f"Did you mean {near[0]}?")


def _unreadable(name: str, message: str, environ: Mapping[str, str]) -> FieldError:
    field = Settings.model_fields[name]
    variable = PREFIX + name.upper()
    if name == "port" and not environ.get(variable):
        variable = "PORT"
    return FieldError(variable, f"{message}.", hint=f"It is the {field.description}.")


def socket_folder(home: Path) -> Path:
    """The folder for the sockets of `home`: within it where the path is short enough, else a temporary one.

    The name depends on `home` alone, so that every process of one home finds the same servers.
    """
    home = home.absolute()
    inside = home / "run"
    if len(os.fsencode(inside / POSTGRES_SOCKET)) <= SOCKET_PATH_LIMIT:
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"labqueue-{user}-{digest}"


def postgres_url(sockets: Path, database: str = "labqueue") -> str:
    """The address of the embedded Postgres, for SQLAlchemy and psycopg alike."""
    return f"postgresql://labqueue@/{database}?host={quote(str(sockets))}&port=5432"


def valkey_url(sockets: Path, database: int = 0) -> str:
    """The address of the embedded Valkey, for redis-py."""
    return f"unix://{quote(str(sockets / VALKEY_SOCKET))}?db={database}"


def kombu_url(redis: str) -> str:
    """What kombu calls the server that redis-py finds under `redis`."""
    parts = urlsplit(redis)
    if parts.scheme != "unix":
        return redis
    query = dict(parse_qsl(parts.query))
    database = query.pop("db", "0")
    query = {"virtual_host": database, **query}
    return f"redis+socket://{parts.netloc}{parts.path}?{urlencode(query)}"


def mask_url(url: str) -> str:
    """`url` with any password in it replaced by stars."""
    parts = urlsplit(url)
    address = parts.netloc
    if "@" in address:
        user, _, host = address.rpartition("@")
        if ":" in user:
            user = user.partition(":")[0] + ":***"
        address = f"{user}@{host}"
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    hidden = [(name, _masked(name, value)) for name, value in pairs]
    if address == parts.netloc and hidden == pairs:
        return url
    query = "?" + urlencode(hidden, safe="*/") if hidden else ""
    return f"{parts.scheme}://{address}{parts.path}{query}"


def _masked(name: str, value: str) -> str:
    return "***" if any(word in name.lower() for word in _SECRET_QUERY_WORDS) else value
