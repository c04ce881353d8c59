"""What Alembic runs: within the transaction that `services.store.migrate` opened, or as SQL text."""

from __future__ import annotations

from alembic import context

from models.tables import METADATA

connection = context.config.attributes.get("connection")
context.configure(
    connection=connection,
    url=None if connection is not None else "postgresql+psycopg://",
    target_metadata=METADATA,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
