"""Records the health of targets: a write when it changes, and none for each success."""

from __future__ import annotations

from datetime import datetime, timedelta

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from backup_webhooks.posting.sender import AttemptResult
from backup_webhooks.targets.cache import TargetsCache
from backup_webhooks.targets.health import SLOW
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target

logger = Logger(child=True)


class HealthRecorder(Struct, frozen=True):
    """Keeps health in the store, and this function's own view of it up to date. Shared by threads."""

    store: TargetsStore
    cache: TargetsCache

    def record(self, target: Target, result: AttemptResult, now: datetime) -> None:
        """Record the target's health after an attempt. Raise nothing: a delivery does not depend on it."""
        began = self.cache.clock()
        try:
            if renewed := self._record(target, result, now):
                self.cache.renew(renewed, began)
        except (BotoCoreError, ClientError) as error:
            logger.error(
                "target health not recorded",
                extra={"account": target.account, "target_id": target.target_id, "reason": str(error)},
            )

    def _record(self, target: Target, result: AttemptResult, now: datetime) -> Target | None:
        slow = timedelta(milliseconds=result.milliseconds) >= SLOW
        if not result.delivered:
            return self._record_failure(target, result, now, slow=slow)
        failing = target.health.consecutive_failures > 0
        if failing or slow is not target.health.slow:
            return self.store.record_success(target, slow=slow)
        return None

    def _record_failure(self, target: Target, result: AttemptResult, now: datetime, *, slow: bool) -> Target | None:
        failing = self.store.record_failure(target, result.status, result.reason, slow=slow, now=now)
        if failing and failing.health.confirmed_by(now):
            failing = self.store.record_confirmation(failing, now)
        if failing and failing.enabled and (reason := failing.health.reason_to_switch_off(now)):
            logger.warning("target switched off", extra={"account": target.account, "target_id": target.target_id})
            failing = self.store.switch_off(failing, reason, now)
        return failing
