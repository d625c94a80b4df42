"""Routes that send a target a test event, and that give it a new signing secret."""

from __future__ import annotations

from datetime import timedelta

from aws_lambda_powertools.event_handler.api_gateway import Router

from backup_webhooks.api.access import Account
from backup_webhooks.api.answers import ACTS
from backup_webhooks.api.services import services
from backup_webhooks.api.target_edits import known_target
from backup_webhooks.api.webhook_models import NewSecret, Overlap, Secret, TestResult
from backup_webhooks.deliveries.attempt import post
from backup_webhooks.deliveries.deliveries_store import KEPT_RESPONSE_BYTES
from backup_webhooks.deliveries.delivery import Delivery
from backup_webhooks.events.example_events import example_event
from backup_webhooks.events.messages import EventType
from backup_webhooks.events.timestamps import utc_now
from backup_webhooks.targets.signing import current

router = Router()

_TARGET = "/v2/webhooks/<account>/<event>/configuration/targetUris/<target_id>"


@router.post(f"{_TARGET}/test", summary="Send a test message", responses=ACTS)
def send_test(account: Account, event: EventType, target_id: str) -> TestResult:
    """Post a test event, signed and in the target's format, and return the attempt's result.

    This takes up to 10 s. A test event is neither logged nor repeated, and does not change the target's health. A
    target that is switched off gets it too.
    """
    target = known_target(services().targets.load(account, event), target_id)
    now = utc_now()
    delivery = Delivery.of(example_event(account, event, now), target)
    attempt = post(services().sender, delivery, target, now)
    return TestResult(
        delivered=attempt.delivered,
        status=attempt.status,
        milliseconds=attempt.milliseconds,
        reason=attempt.reason,
        response=attempt.response[:KEPT_RESPONSE_BYTES].decode(errors="replace"),
        body=delivery.body,
    )


@router.post(f"{_TARGET}/secret", summary="Rotate the signing secret", responses=ACTS)
def rotate_secret(account: Account, event: EventType, target_id: str, overlap: Overlap) -> NewSecret:
    """Give the target a new secret, which only this answer holds. The old ones sign too during the overlap."""
    target = known_target(services().targets.load(account, event), target_id)
    now = utc_now()
    new = services().targets.rotate_secret(target, now, timedelta(hours=overlap.overlap_hours))
    stored = services().targets.load(account, event)
    secrets = current(known_target(stored, target_id).secrets, now)
    return NewSecret(secret=new.value, secrets=[Secret.of(secret) for secret in secrets])
