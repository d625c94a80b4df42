"""All patches of moto's DynamoDB."""

from __future__ import annotations

from local.moto_dynamodb import make_atomic, make_forgetful, make_transactions_quick, make_updates_quick
from local.moto_items import make_answers_quick, make_items_quick
from local.moto_queries import make_queries_quick


def patch_moto() -> None:
    """Make moto's DynamoDB of this process atomic and quick, with the same answers."""
    make_atomic()
    make_forgetful()
    make_transactions_quick()
    make_updates_quick()
    make_items_quick()
    make_queries_quick()
    make_answers_quick()
