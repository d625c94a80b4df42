"""Bare handlers: what a function can't do without, and nothing else. The floors of benchmarks."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import boto3
import urllib3
from botocore import xform_name
from botocore.config import Config

_THREADS = ThreadPoolExecutor(60)
_http = urllib3.PoolManager(maxsize=64)
_batches: list[tuple[list[Any], list[list[Any]]]] = []
_NOTHING_FAILED = {"batchItemFailures": []}


@cache
def _client(service: str) -> Any:
    # Without validation, as the functions have it.
    return boto3.client(service, config=Config(max_pool_connections=64, parameter_validation=False, user_agent="floor"))


def notify(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Do what the notifier was recorded to do for a batch, and nothing else: `{"batch": 3}`.

    Its posts and its calls of AWS, with the same parameters but for the marks by which messages are told apart, in as
    many threads. All of it is made ready by an invocation with `{"prepare": [marks of batch 0, …]}`, for nothing.
    """
    if "prepare" in event:
        plan = json.loads(Path(os.environ["PLAN"]).read_text())
        _batches[:] = [_ready(plan, marks) for marks in event["prepare"]]
        return _NOTHING_FAILED
    once, chains = _batches[event["batch"]]
    for call in once:
        call()
    for chain in [_THREADS.submit(_run, chain) for chain in chains]:
        chain.result()
    return _NOTHING_FAILED


def _run(chain: list[Any]) -> None:
    for call in chain:
        call()


def _ready(plan: dict[str, Any], marks: list[str]) -> tuple[list[Any], list[list[Any]]]:
    """The calls that a batch makes once, and two lists of calls for each message: the delivery, and the books."""
    text = json.dumps(plan)
    for recorded, mark in zip(plan["marks"], marks, strict=True):
        text = text.replace(recorded, mark)
    plan = json.loads(text)
    once: list[Any] = [_call(call) for call in plan["calls"] if call["mark"] is None]
    chains = []
    for mark in marks:
        mine = [call for call in plan["calls"] if call["mark"] == mark]
        post = partial(
            _http.request,
            "POST",
            plan["url"],
            body=plan["bodies"][mark].encode(),
            headers=plan["headers"],
            retries=False,
        )
        before, after, books = (
            [_call(call) for call in mine if call["when"] == when] for when in ("before", "after", "beside")
        )
        chains += [[*before, post, *after], books]
    return once, chains


def _call(call: dict[str, Any]) -> Any:
    return partial(getattr(_client(call["service"]), xform_name(call["operation"])), **call["parameters"])


def post_alone(event: dict[str, Any], context: object) -> dict[str, Any]:
    """A post for each message, its own body, to `TARGET`: no claim, no log, no books."""
    posts = [
        _THREADS.submit(_http.request, "POST", os.environ["TARGET"], body=record["body"].encode(), retries=False)
        for record in event["Records"]
    ]
    for post in posts:
        post.result()
    return _NOTHING_FAILED


def clients_alone(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Make the clients that the event names."""
    for service in event["services"]:
        _client(service)
    return {}


def answer_ok(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer an HTTP API event, whatever it says."""
    return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "OK"}
