"""AWS Backup for the local stack and the tests: the reading calls of its API over data that the caller sets.

moto's AWS Backup has plans, but no jobs, selections or protected resources.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from local.quiet_server import QuietServer

type Answer = tuple[int, dict[str, Any]]


@dataclass
class AwsBackup:
    """AWS Backup of one region. Its data have the shapes of the API's answers, with timestamps as `datetime`s.

    `selections` are by plan id. `page_size` is the most that one call returns. `fault` returns the answer for a path,
    or None for the true answer.
    """

    jobs: list[dict[str, Any]] = field(default_factory=list)
    plans: dict[str, dict[str, Any]] = field(default_factory=dict)
    selections: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    resources: list[dict[str, Any]] = field(default_factory=list)
    page_size: int = 1000
    fault: Callable[[str], Answer | None] = lambda path: None
    host: str = "127.0.0.1"
    port: int = 0

    def __post_init__(self) -> None:
        self._server = QuietServer((self.host, self.port), _handler(self))
        self.url = f"http://{self.host}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._server.start("AWS Backup", notices_end_within=0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        """Return the answer to a call of the path."""
        if fault := self.fault(path):
            return fault
        match [urllib.parse.unquote(part) for part in path.strip("/").split("/")]:
            case ["backup-jobs"]:
                return self._page("BackupJobs", list(_listed(self.jobs, query)), query)
            case ["resources"]:
                return self._page("Results", self.resources, query)
            case ["backup", "plans"]:
                plans = [{"BackupPlanId": plan_id} for plan_id in self.plans]
                return self._page("BackupPlansList", plans, query)
            case ["backup", "plans", plan_id] if plan_id in self.plans:
                return 200, self.plans[plan_id]
            case ["backup", "plans", plan_id, "selections"]:
                listed = [{"SelectionId": str(position)} for position, _ in enumerate(self.selections.get(plan_id, []))]
                return self._page("BackupSelectionsList", listed, query)
            case ["backup", "plans", plan_id, "selections", position]:
                return 200, {"BackupSelection": self.selections[plan_id][int(position)]}
        return 400, {"code": "ResourceNotFoundException", "message": path}

    def _page(self, name: str, items: Sequence[dict[str, Any]], query: dict[str, str]) -> Answer:
        start, size = int(query.get("nextToken", 0)), min(int(query.get("maxResults", 1000)), self.page_size)
        more = {"NextToken": str(start + size)} if start + size < len(items) else {}
        return 200, {name: items[start : start + size]} | more


def _listed(jobs: Sequence[dict[str, Any]], query: dict[str, str]) -> Iterator[dict[str, Any]]:
    for job in jobs:
        bounds = [("completeAfter", "CompletionDate"), ("createdAfter", "CreationDate")]
        limits = [(datetime.fromisoformat(query[bound]), job.get(date)) for bound, date in bounds if bound in query]
        if all(timestamp is not None and timestamp > bound for bound, timestamp in limits):
            yield job


def _handler(backup: AwsBackup) -> type[BaseHTTPRequestHandler]:
    class Api(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            status, answer = backup.answer(path, dict(urllib.parse.parse_qsl(query)))
            body = json.dumps(answer, default=datetime.timestamp).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("x-amzn-errortype", answer.get("code", ""))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Api
