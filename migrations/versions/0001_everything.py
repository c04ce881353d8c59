"""Every table of the first release.

Revision ID: 0001
Revises: nothing
"""

from __future__ import annotations

from migrations.first import campaigns, experiments, files, learning, operations, pools, results

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TOPICS = (campaigns, experiments, results, learning, operations, pools, files)


def upgrade() -> None:
    for topic in _TOPICS:
        topic.create()


def downgrade() -> None:
    for topic in reversed(_TOPICS):
        topic.drop()
