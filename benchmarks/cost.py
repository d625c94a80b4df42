"""The bill, from a scripted night on DynamoDB Local: its own consumed capacity, the counted calls of every service.

`make bench cost` prints it. `python -m benchmarks.cost` writes it into docs/cost.md, and `--check` compares the two, as
CI does.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from backup_webhooks.aws.items import from_item

from benchmarks.figures import Figure
from benchmarks.scripted_night import BATCHES, Installation
from benchmarks.use import PRICES, Use
from local.receiver import Receiver
from local.template import PROJECT, Template, translate
from tests.support.item_size import item_size
from tests.world.aws import own_aws

DOCUMENT = PROJECT / "docs" / "cost.md"
BEFORE, AFTER = "<!-- Printed by make bench cost. -->\n", "<!-- Until here. -->"
REAL_ENGINE = "AWS_ENDPOINT_URL_DYNAMODB"
HOURS, NIGHTS_A_MONTH = 730, 30.4
# Assumed: Lambda polls a queue by five pollers that each ask every 20 seconds.
POLLERS, POLLS_A_SECOND = 5, 1 / 20
# The names that have a value each minute, with e-mail.
FULL_METRICS = 10
FULLY = ("ObserveFully", "ObserveEmailFully", "WatchGivenUp")
# What a month of 730 hours stores of what comes in it, in months: delivery records 30 days, backups 60.
DELIVERY_MONTHS, BACKUP_MONTHS = 30 / NIGHTS_A_MONTH, 60 / NIGHTS_A_MONTH


def observed(template: Template, *conditions: str) -> Use:
    """Return what is paid each month for alarms and metrics, under the template's conditions that hold."""
    alarms = [
        resource["Properties"].get("Metrics", [{"MetricStat": resource["Properties"]}])
        for resource in template.whole["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm" and resource.get("Condition") in (None, *conditions)
    ]
    # Of a condition within an alarm the first branch is counted.
    watched = [one["Fn::If"][1] if "Fn::If" in one else one for metrics in alarms for one in metrics]
    names = FULL_METRICS if "ObserveFully" in conditions else 1 + ("SendEmail" in conditions)
    return Use({"alarm metrics": sum("MetricStat" in one for one in watched), "custom metrics": names})


@dataclass
class Bill:
    """Puts months together from the units of work."""

    units: Mapping[str, Use]
    stored: Mapping[str, float]
    template: Template

    def kept(self, results: float, deliveries: float) -> Use:
        """Return the storage of what so many results a month leave, and its recovery where the table has it."""
        sizes = {
            "BackupsTable": results * self.stored["BackupsTable"] * BACKUP_MONTHS,
            "DeliveriesTable": deliveries * self.stored["DeliveriesTable"] * DELIVERY_MONTHS,
        }
        tables = self.template.cloudformation["Resources"]
        recovered = [name for name in sizes if "PointInTimeRecoverySpecification" in tables[name]["Properties"]]
        return Use({"stored bytes": sum(sizes.values()), "recoverable bytes": sum(sizes[name] for name in recovered)})

    def million(self, unit: str, batch: int) -> Use:
        """Return a million of the unit in batches of that size."""
        kept = self.kept(1e6, 1e6) if unit == "result" else Use()
        return self.units[f"{unit}, in batches of {batch}"].times(1e6).plus(kept)

    def idle(self, *conditions: str) -> Use:
        """Return a month in which nothing happens, under the template's conditions that hold."""
        email = "SendEmail" in conditions
        polls = Use({"SQS requests": (4 if email else 2) * POLLERS * POLLS_A_SECOND * 3600 * HOURS})
        minutes = self.units["minute with nothing due"].times(60 * HOURS)
        ticks = self.units["report's tick"].times(12 * HOURS) if email else Use()
        use = minutes.plus(ticks, polls, observed(self.template, *conditions))
        return use.plus(Use({"traces": use["invocations"]})) if "ObserveFully" in conditions else use

    def month(self, servers: int, batch: int = 3) -> Use:
        """Return a month of an installation with one account of so many servers, each backed up every night.

        One backup in a hundred fails, one in two hundred is missed. A report a day goes to two people, and the page is
        viewed 60 times a month.
        """
        nights = servers * NIGHTS_A_MONTH
        failed, missed = nights / 100, nights / 200
        units = self.units
        return self.idle("SendEmail").plus(
            units[f"start, in batches of {batch}"].times(nights - missed),
            units[f"result, in batches of {batch}"].times(nights - missed - failed),
            units["failure, first attempt of a target with retries"].times(failed),
            units["retry, delivered"].times(failed),
            units["miss, found and posted"].times(missed),
            units["report"].plus(units["report, for each server"].times(servers)).times(NIGHTS_A_MONTH),
            units["view of the page"].plus(units["view of the page, for each server"].times(servers)).times(60),
            self.kept(nights, nights),
            Use({"stored bytes": servers * self.stored["ServerPoliciesTable"]}),
        )


def printed(bill: Bill) -> str:
    """Return the tables of docs/cost.md."""
    rows = {
        "an idle month": bill.idle(),
        "… with e-mail": bill.idle("SendEmail"),
        "… with e-mail and `Observability: full`": bill.idle("SendEmail", *FULLY),
        **{
            f"a million {unit}s, in batches of {batch}": bill.million(unit, batch)
            for unit in ("result", "start")
            for batch in BATCHES
        },
        **{f"a month of {servers:,} servers": bill.month(servers) for servers in (10, 1000, 10_000)},
    }
    lines = [f"Prices: {PRICES['read']}", "", "| | dollars | a server | of which |", "|---|---|---|---|"]
    for name, use in rows.items():
        servers = int(name.split()[3].replace(",", "")) if "servers" in name else 0
        each = f"{use.total() / servers:.3g}" if servers else ""
        most = ", ".join(f"{part} {dollars:.2f}" for part, dollars in list(use.dollars().items())[:5])
        lines.append(f"| {name} | **{use.total():.2f}** | {each} | {most} |")
    lines += [
        "",
        "| unit of work | write units | read units | SQS requests | invocations | GB-seconds |",
        "|---|---|---|---|---|---|",
    ]
    names = ("write units", "read units", "SQS requests", "invocations", "GB-seconds")
    lines += [
        f"| {unit} | " + " | ".join(f"{round(use[name], 3):g}" for name in names) + " |"
        for unit, use in bill.units.items()
    ]
    sizes = ", ".join(f"{table} {size:.0f}" for table, size in bill.stored.items())
    return "\n".join([*lines, "", f"Bytes of an item, on average: {sizes}.", ""])


def reckon(url: str) -> Bill:
    """Return the bill from a night on the DynamoDB at that URL, whose tables of these names it replaces."""
    template = translate()
    with _quiet(), own_aws(template, url) as aws, Receiver() as receiver:
        installation = Installation(aws, receiver)
        units = installation.night()
        stored = {
            table: _mean_size(aws.dynamodb(), table)
            for table in ("DeliveriesTable", "BackupsTable", "ServerPoliciesTable")
        }
        return Bill(units, stored, template)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the functions' log of each failure out of the output."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _mean_size(client: Any, table: str) -> float:
    pages = client.get_paginator("scan").paginate(TableName=table)
    sizes = [item_size(from_item(item)) for page in pages for item in page["Items"]]
    return sum(sizes) / len(sizes)


def measure(quick: bool) -> Iterable[Figure]:
    """Yield the figures with goals, and print the tables of docs/cost.md."""
    if REAL_ENGINE not in os.environ:
        print(f"cost: left out, as {REAL_ENGINE} leads to no DynamoDB (DynamoDB Local, say)", file=sys.stderr)
        return
    bill = reckon(os.environ[REAL_ENGINE])
    print(printed(bill), file=sys.stderr)
    for name, unit, goal in (
        ("cost-result", "result, in batches of 10", 4),
        ("cost-start", "start, in batches of 10", 3),
        ("cost-miss", "miss, found and posted", 7),
    ):
        yield Figure(name, bill.units[unit]["write units"], "write units", goal=f"<= {goal}")
    for name, use, goal in (
        ("cost-million-in-full-batches", bill.million("result", 10), 5),
        ("cost-million-one-by-one", bill.million("result", 1), 8),
        ("cost-idle-month", bill.idle(), 3),
    ):
        yield Figure(name, use.total(), "dollars", goal=f"<= {goal}")


def main() -> int:
    """Write the tables into docs/cost.md, or with `--check` compare them with what is there."""
    if REAL_ENGINE not in os.environ:
        print(f"{REAL_ENGINE} must lead to a DynamoDB (DynamoDB Local, say)", file=sys.stderr)
        return 2
    text = DOCUMENT.read_text()
    begin, end = text.index(BEFORE) + len(BEFORE), text.index(AFTER)
    tables = printed(reckon(os.environ[REAL_ENGINE]))
    if "--check" in sys.argv:
        if tables != text[begin:end]:
            print(
                tables,
                "\n\nThe bill has changed: python -m benchmarks.cost writes it into docs/cost.md",
                file=sys.stderr,
            )
        return tables != text[begin:end]
    DOCUMENT.write_text(text[:begin] + tables + text[end:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
