"""What is paid for: the names in prices.json, and their prices."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from local.template import PROJECT

PRICES: Mapping[str, Any] = json.loads((PROJECT / "benchmarks" / "prices.json").read_text())


class Use(Counter[str]):
    """What is paid for, by the names in prices.json."""

    def times(self, number: float) -> Use:
        """Return so many times this use."""
        return Use({name: amount * number for name, amount in self.items()})

    def plus(self, *others: Use) -> Use:
        """Return the sum."""
        total = Use(self)
        for other in others:
            total.update(other)
        return total

    def dollars(self) -> dict[str, float]:
        """Return the price of each, the dearest first."""
        bill = {name: amount * PRICES[name]["dollars"] / PRICES[name]["per"] for name, amount in self.items()}
        return dict(sorted(bill.items(), key=lambda item: -item[1]))

    def total(self) -> float:  # type: ignore[override]
        """Return the price of all."""
        return sum(self.dollars().values())
