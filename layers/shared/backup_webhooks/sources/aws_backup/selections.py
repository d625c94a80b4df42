"""The selections of AWS Backup's plans: which resources they select, as far as they show it. Pure.

The shapes are those of `GetBackupSelection`: https://docs.aws.amazon.com/aws-backup/latest/devguide/API_BackupSelection.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from msgspec import Struct


class Selection(Struct, frozen=True):
    """One of a plan's selections. `tagged`: it also selects by tags or conditions, which this service cannot check."""

    arns: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]
    excluded: tuple[re.Pattern[str], ...]
    tagged: bool

    @classmethod
    def of(cls, selection: Mapping[str, Any]) -> Self:
        """Return the selection of an answer of `GetBackupSelection`."""
        resources: Sequence[str] = selection.get("Resources") or []
        return cls(
            arns=frozenset(arn for arn in resources if "*" not in arn),
            patterns=tuple(_pattern(arn) for arn in resources if "*" in arn),
            excluded=tuple(map(_pattern, selection.get("NotResources") or [])),
            tagged=bool(selection.get("ListOfTags")) or any((selection.get("Conditions") or {}).values()),
        )

    @property
    def listed(self) -> Iterable[str]:
        """The ARNs of the resources that the selection names and surely selects."""
        return () if self.tagged else (arn for arn in self.arns if not self._excludes(arn))

    def lists(self, arn: str) -> bool:
        """Return whether the selection names the resource and surely selects it."""
        return not self.tagged and arn in self.arns and not self._excludes(arn)

    def may_select(self, arn: str) -> bool:
        """Return whether it may select the resource without naming it: by tag or wildcard, or because it names none."""
        any_resource = self.tagged or not (self.arns or self.patterns)
        return not self._excludes(arn) and (any_resource or any(pattern.fullmatch(arn) for pattern in self.patterns))

    def _excludes(self, arn: str) -> bool:
        return any(pattern.fullmatch(arn) for pattern in self.excluded)


def _pattern(arn: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, arn.split("*"))))
