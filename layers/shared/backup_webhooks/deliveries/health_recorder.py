"""Records the health of targets: a write when it changes, and none for each success."""

from __future__ import annotations

from datetime import datetime, timedelta

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from backup_webhooks.deliveries.deliveries_store import DeliveryState
from backup_webhooks.deliveries.delivery import RecheckDue
from backup_webhooks.deliveries.delivery_log import DeliveryLog
from backup_webhooks.events.timestamps import Timestamp
from backup_webhooks.posting.sender import AttemptResult
from backup_webhooks.targets.cache import TargetsCache
from backup_webhooks.targets.health import GONE, SETTLED_AFTER, SLOW
from backup_webhooks.targets.store import TargetsStore
from backup_webhooks.targets.target import Target

# Of older events no delivery is expected just then.
_EVENTS_SINCE = timedelta(days=1)
_MOST_EXAMINED = 1000

logger = Logger(child=True)


class HealthRecorder(Struct, frozen=True):
    """Keeps health in the store, and this function's own view of it up to date. Shared by threads."""

    store: TargetsStore
    cache: TargetsCache
    log: DeliveryLog

    def record(self, target: Target, result: AttemptResult, now: datetime) -> RecheckDue | None:
        """Record the target's health after an attempt. Raise nothing: a delivery does not depend on it.

        Return the message for `recheck` if a 410 has switched the target off: another function may have succeeded after
        that without knowing of it, and a success at a healthy target is not written.
        """
        began = self.cache.clock()
        try:
            renewed = self._record(target, result, now)
            if renewed:
                self.cache.renew(renewed, began)
            if renewed and renewed.health.switched_off_at and renewed.health.last_status == GONE:
                return RecheckDue(
                    account=target.account,
                    target_id=target.target_id,
                    switched_off_at=Timestamp.of(renewed.health.switched_off_at),
                    due_at=Timestamp.of(now + SETTLED_AFTER),
                )
        except (BotoCoreError, ClientError) as error:
            logger.error(
                "target health not recorded",
                extra={"account": target.account, "target_id": target.target_id, "reason": str(error)},
            )
        return None

    def recheck(self, due: RecheckDue, target: Target | None) -> None:
        """Switch the target on again if the log has a success that ended after the 410: the later word counts."""
        if target is None or target.enabled or target.health.switched_off_at != due.switched_off_at:
            return
        page = self.log.page(
            due.account,
            since=due.switched_off_at - _EVENTS_SINCE,
            until=due.due_at,
            limit=_MOST_EXAMINED,
            states=[DeliveryState.DELIVERED],
        )
        later = (record.ended_at for record in page.records if record.delivery.target_id == target.target_id)
        if any(ended_at and ended_at > due.switched_off_at for ended_at in later):
            logger.info("target switched on again", extra={"account": target.account, "target_id": target.target_id})
            self.store.switch_on(target)

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
