"""How much a session has measured."""

from __future__ import annotations

from services.ports import Transaction


def count(tx: Transaction, session_id: str) -> int:
    """Its measured rows; 0 before it has a campaign."""
    campaign = tx.campaigns.get(session_id)
    return 0 if campaign is None else tx.experiments.ran(campaign.id)
