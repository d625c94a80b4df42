"""The history of a world as seen from outside: claims, posts and records, in their order."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.fault_proxy import Call

_DONE = 200


@dataclass(frozen=True)
class Claimed:
    """A claim that DynamoDB has accepted. `token`: the claim's."""

    token: str
    webhook_id: str
    attempt: int


@dataclass(frozen=True)
class Posted:
    """A POST that was made under a claim, in that execution environment."""

    claim: Claimed
    environment: int


@dataclass(frozen=True)
class Recorded:
    """The attempt result of the claim is in the log."""

    token: str


type Happening = Claimed | Posted | Recorded


@dataclass
class History:
    """Records what DynamoDB does, and posts."""

    happenings: list[Happening] = field(default_factory=list)
    environment: int = 0
    _claims: dict[str, Claimed] = field(default_factory=dict)

    def on_effect(self, call: Call, status: int) -> None:
        """DynamoDB has done the call, and answered with that status."""
        if call.operation != "UpdateItem" or status != _DONE:
            return
        values = call.parameters.get("ExpressionAttributeValues", {})
        if call.parameters.get("ConditionExpression") == "claimToken = :token":
            self.happenings.append(Recorded(values[":token"]["S"]))
        elif "claimToken = :token" in call.parameters["UpdateExpression"]:
            claimed = Claimed(values[":token"]["S"], values[":webhookId"]["S"], int(values[":attempt"]["N"]))
            self._claims[claimed.webhook_id] = claimed
            self.happenings.append(claimed)

    def on_post(self, webhook_id: str) -> None:
        """A function posts under the newest claim."""
        self.happenings.append(Posted(self._claims[webhook_id], self.environment))

    @property
    def posted(self) -> list[Claimed]:
        """Return the claims of all posts, one for each post."""
        return [happening.claim for happening in self.happenings if isinstance(happening, Posted)]

    @property
    def recorded(self) -> set[str]:
        """Return the tokens of the claims whose results are in the log."""
        return {happening.token for happening in self.happenings if isinstance(happening, Recorded)}
