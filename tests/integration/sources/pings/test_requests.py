"""The ping URL through the real handler: its answers, its messages on the queue, its refusals."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import urllib3
from backup_webhooks.aws.items import from_item
from backup_webhooks.events.backup_output import KEPT_BYTES
from backup_webhooks.events.messages import EventType
from backup_webhooks.sources.pings.rules import hash_of

from local.http_api import HttpApi
from local.receiver import Receiver
from local.stack import Stack
from tests.integration.conftest import Account, Invoke
from tests.support.api import Client, of_account
from tests.support.fault_proxy import Call, FaultProxy, internal_server_error
from tests.support.messages import Context
from tests.support.pings import Script, made
from tests.support.policies import at


@pytest.fixture
def url(account: Account, client: Client) -> str:
    """Return a new ping URL of the account."""
    return str(made(client, account.alias)["url"])


@pytest.fixture
def script(script_at: Callable[..., Script], url: str) -> Script:
    """A script. It is made after the URL, as the environment is the ping function's from then on."""
    return script_at()


class TestSignals:
    @pytest.mark.parametrize(
        ("step", "status"),
        [("", "SUCCESS"), ("/0", "SUCCESS"), ("/fail", "FAILED"), ("/1", "FAILED"), ("/partial", "PARTIAL_SUCCESS")],
    )
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_an_end_is_put_on_the_queue_and_acknowledged(
        self, account: Account, script: Script, url: str, step: str, status: str, method: str
    ) -> None:
        answer = script.ping(url, step, method=method)

        assert (answer.status, answer.text) == (200, "OK\n")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        (message,) = script.messages()
        assert message["type"] == "BackupFinished"
        assert message["restorePointCreationStatus"] == status
        assert message["accountAlias"] == account.alias
        assert (message["serverId"], message["accountPolicyName"]) == ("fileserver", "Nightly restic")
        assert message["backupStartedDate"] == message["backupFinishedDate"] == "2018-12-20T01:00:00.000Z"

    def test_a_start_and_its_end_are_one_backup(self, script: Script, url: str) -> None:
        script.ping(url, "/start", on="12-20 01:00")
        script.ping(url, "/3", on="12-20 01:39:38")

        start, end = sorted(script.messages(), key=lambda message: message["type"], reverse=True)
        assert (start["type"], end["type"]) == ("BackupStarted", "BackupFinished")
        assert start["backupStartedDate"] == end["backupStartedDate"] == "2018-12-20T01:00:00.000Z"
        assert end["backupFinishedDate"] == "2018-12-20T01:39:38.000Z"
        assert start["restorePointId"] == end["restorePointId"]

    def test_overlapping_runs_are_kept_apart_by_their_ids(self, script: Script, url: str) -> None:
        for minute, call in enumerate(["/start?rid=a", "/start?rid=b", "/fail?rid=a", "?rid=b"]):
            assert script.ping(url, call, on=f"12-20 01:0{minute}").status == 200

        messages = script.messages()
        ends = {end["restorePointCreationStatus"]: end for end in messages if "backupFinishedDate" in end}
        assert ends["FAILED"]["backupStartedDate"] == "2018-12-20T01:00:00.000Z"
        assert ends["SUCCESS"]["backupStartedDate"] == "2018-12-20T01:01:00.000Z"

    def test_a_ping_with_a_run_id_that_comes_again_makes_the_same_message(self, script: Script, url: str) -> None:
        script.ping(url, "/start?rid=a", on="12-20 01:00")
        for second in (0, 11, 23):
            assert script.ping(url, "/1?rid=a", on=f"12-20 01:39:{second:02}").status == 200

        ends = [json.dumps(end) for end in script.messages() if end["type"] == "BackupFinished"]
        assert len(ends) == 3
        assert len(set(ends)) == 1


class TestBackupOutput:
    def output(self, script: Script) -> str | None:
        (message,) = script.messages()
        output: str | None = message.get("log")
        return output

    def test_the_body_goes_with_the_end_of_the_backup(self, script: Script, url: str) -> None:
        script.ping(url, "/start", body=b"not this")
        assert self.output(script) is None

        script.ping(url, "/fail", body="für 3 €: disk full\n".encode())
        assert self.output(script) == "für 3 €: disk full"

    def test_the_end_of_a_huge_body_is_kept(self, script: Script, url: str) -> None:
        assert script.ping(url, "/1", body=b"x" * 5_000_000 + b" the error").status == 200

        output = self.output(script)
        assert output is not None
        assert output.endswith("x the error")
        assert len(output.encode()) <= KEPT_BYTES

    def test_bytes_that_are_no_text_are_accepted_too(self, script: Script, url: str) -> None:
        assert script.ping(url, "/1", body=bytes(range(256))).status == 200

        output = self.output(script)
        assert output is not None
        assert "ABC" in output
        assert "\x00" not in output

    def test_text_that_the_gateway_has_encoded_is_read(self, script: Script, url: str) -> None:
        event = {
            "rawPath": urlsplit(url).path,
            "requestContext": {"http": {"method": "POST"}, "timeEpoch": 1_545_267_600_000},
            "body": base64.b64encode(b"in base64").decode(),
            "isBase64Encoded": True,
        }

        assert script.handler(event, Context(function_name="PingFunction"))["statusCode"] == 200
        assert self.output(script) == "in base64"


class TestStrangers:
    def test_an_invalid_key_and_a_revoked_one_get_the_same_answer(
        self, account: Account, client: Client, script_at: Callable[..., Script]
    ) -> None:
        key = made(client, account.alias)
        client.delete(of_account(account.alias, "pingKeys", key["pingKeyId"]))
        script = script_at()

        answers = [
            script.ping(key["url"]),
            *(script.call(f"/p/{no_key}") for no_key in ("A" * 22, "x", "%00", "ä", "a" * 4000, "account%23TEST")),
            script.call(f"/p/{hash_of(urlsplit(key['url']).path[3:])}"),
            script.call(f"/p/account%23{account.alias}"),
        ]

        assert {(answer.status, answer.text) for answer in answers} == {(404, "No such key.\n")}
        assert script.messages() == []

    @pytest.mark.parametrize(
        "step", ["/", "//", "/success", "/256", "/-1", "/1e2", "/fail/1", "/start/", "/..", "/%00", "/0%0a"]
    )
    def test_a_path_without_a_signal_is_refused_with_what_is_allowed(self, script: Script, url: str, step: str) -> None:
        answer = script.ping(url, step)

        assert answer.status == 400
        assert "/start, /fail, /partial, or an exit status" in answer.text
        assert script.ping("https://x/p/none", step).text == answer.text, "the answer does not depend on the key"
        assert script.messages() == []

    @pytest.mark.parametrize("query", ["rid=", "rid=a%20b", "rid=a&rid=b", "rid=" + "a" * 65, "rid=%ff"])
    def test_an_invalid_run_id_is_refused(self, script: Script, url: str, query: str) -> None:
        answer = script.ping(url, f"?{query}")

        assert answer.status == 400
        assert "rid has 1 to 64" in answer.text
        assert script.messages() == []

    @pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
    def test_no_other_method_counts(self, script: Script, url: str, method: str) -> None:
        answer = script.ping(url, "/start", method=method)

        assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
        assert script.messages() == []

    def test_neither_key_nor_body_is_logged(
        self, script: Script, url: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        key = urlsplit(url).path.removeprefix("/p/")
        caplog.set_level(logging.DEBUG, "backup_webhooks")
        for step in ("/start", "/1", "/nonsense"):
            script.ping(url, step, body=b"s3cret")
        script.call("/p/some-other-key", body=b"s3cret")

        written = "".join(capsys.readouterr()) + caplog.text
        assert "s3cret" not in written
        assert key not in written
        assert hash_of(key) not in written


class TestThrottle:
    def test_ten_a_minute_are_accepted_and_the_next_learns_how_long_to_wait(self, script: Script, url: str) -> None:
        for second in range(10):
            assert script.ping(url, on=f"12-20 01:00:{second:02}").status == 200

        refused = script.ping(url, on="12-20 01:00:15")

        assert (refused.status, refused.headers["retry-after"]) == (429, "45")
        assert refused.text == "Too many pings: 10 a minute are taken. Try again in 45 s.\n"
        assert len(script.messages()) == 10
        assert script.ping(url, on="12-20 01:00:59").status == 429, "a refused ping does not count"
        assert script.ping(url, on="12-20 01:01:00").status == 200
        assert script.ping(url, on="12-20 01:01:00").status == 429

    def test_the_pings_of_one_key_do_not_count_for_another(
        self, account: Account, client: Client, script_at: Callable[..., Script]
    ) -> None:
        first, second = made(client, account.alias)["url"], made(client, account.alias)["url"]
        script = script_at()
        for _ in range(10):
            script.ping(first)

        assert [script.ping(first).status, script.ping(second).status] == [429, 200]

    def test_a_month_of_pings_is_accepted_and_few_are_stored(self, script: Script, url: str, stack: Stack) -> None:
        timestamp = at("12-20 01:00")
        for night in range(30):
            script.ping(url, f"/start?rid={night}", on=timestamp + timedelta(days=night))
            assert script.ping(url, f"?rid={night}", on=timestamp + timedelta(days=night, minutes=9)).status == 200

        ends = [end for end in script.messages() if end["type"] == "BackupFinished"]
        assert len({end["restorePointId"] for end in ends}) == 30
        assert all(end["backupStartedDate"][11:16] == "01:00" for end in ends)
        item = from_item(
            stack.client("dynamodb").get_item(
                TableName=stack.outputs["PingKeysTableName"],
                Key={"pingKey": {"S": hash_of(urlsplit(url).path.removeprefix("/p/"))}},
            )["Item"]
        )
        assert len(item["pings"]) <= 10

    def test_pings_at_the_same_time_are_all_accepted(self, script: Script, url: str) -> None:
        for run in range(9):
            script.ping(url, f"?rid=before-{run}", on="12-20 00:30")
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda run: script.ping(url, f"?rid={run}", on="12-20 01:00"), range(8)))

        assert [answer.status for answer in answers] == [200] * 8
        assert len({message["restorePointId"] for message in script.messages()}) == 17


class TestFaults:
    def test_a_queue_that_does_not_answer_gives_503_and_the_repeat_sends_the_whole_message(
        self, script_at: Callable[..., Script], url: str, sqs_proxy: FaultProxy
    ) -> None:
        script = script_at(AWS_ENDPOINT_URL_SQS=sqs_proxy.url)
        assert script.ping(url, "/start?rid=a", on="12-20 01:00").status == 200
        sqs_proxy.behaviour = lambda _: internal_server_error()

        failed = script.ping(url, "/fail?rid=a", on="12-20 01:39", body=b"disk full")
        sqs_proxy.behaviour = lambda call: call.forward()
        again = script.ping(url, "/fail?rid=a", on="12-20 01:39:11", body=b"disk full")

        assert (failed.status, again.status) == (503, 200)
        assert failed.text == "Not taken: something of ours does not answer. Try again.\n"
        (end,) = [end for end in script.messages() if end["type"] == "BackupFinished"]
        assert (end["backupStartedDate"], end["log"]) == ("2018-12-20T01:00:00.000Z", "disk full")

    def test_the_same_without_a_run_id(self, script_at: Callable[..., Script], url: str, sqs_proxy: FaultProxy) -> None:
        script = script_at(AWS_ENDPOINT_URL_SQS=sqs_proxy.url)
        script.ping(url, "/start", on="12-20 01:00")
        sqs_proxy.behaviour = lambda _: internal_server_error()
        assert script.ping(url, "/1", on="12-20 01:39").status == 503
        sqs_proxy.behaviour = lambda call: call.forward()
        assert script.ping(url, "/1", on="12-20 01:39:11").status == 200

        (end,) = [end for end in script.messages() if end["type"] == "BackupFinished"]
        assert end["backupStartedDate"] == "2018-12-20T01:00:00.000Z"

    def test_a_table_that_does_not_answer_gives_503(
        self, script_at: Callable[..., Script], url: str, dynamodb_proxy: FaultProxy
    ) -> None:
        dynamodb_proxy.behaviour = lambda _: internal_server_error()
        script = script_at(AWS_ENDPOINT_URL_DYNAMODB=dynamodb_proxy.url)

        assert script.ping(url).status == 503
        assert script.messages() == []

    def test_a_write_whose_answer_was_lost_counts_once(
        self, script_at: Callable[..., Script], url: str, dynamodb_proxy: FaultProxy
    ) -> None:
        def lose_the_first(call: Call) -> tuple[int, bytes]:
            answer = call.forward()
            return internal_server_error() if len(dynamodb_proxy.calls) == 1 else answer

        dynamodb_proxy.behaviour = lose_the_first
        script = script_at(AWS_ENDPOINT_URL_DYNAMODB=dynamodb_proxy.url)

        assert script.ping(url, "/start").status == 200
        assert [message["type"] for message in script.messages()] == ["BackupStarted"]


class TestEndToEnd:
    def test_a_failed_script_is_posted_once_however_often_it_pings(
        self, account: Account, script: Script, url: str, receiver: Receiver, handler_at: Callable[..., Invoke]
    ) -> None:
        account.set_target(EventType.FAILURE, receiver.url)
        script.ping(url, "/start?rid=a", on="12-20 01:00")
        for second in (0, 11, 22):
            script.ping(url, "/1?rid=a", on=f"12-20 01:39:{second:02}", body=b"disk full")
        messages = [json.dumps(message) for message in script.messages()]

        notifier = handler_at("notifier")
        for message in messages * 2:
            assert notifier(message) == {"batchItemFailures": []}

        (post,) = receiver.posts
        text = json.loads(post.body)["text"]
        assert text.startswith(f"Status: FAILED  -  Account: {account.alias}  -  Server: fileserver  -  ")
        assert text.endswith("-a  -  Finished Date/Time: 2018-12-20 01:39:00 UTC")

    def test_the_backup_output_is_shown_to_its_account_and_to_no_other(
        self,
        account: Account,
        client: Client,
        script_at: Callable[..., Script],
        handler_at: Callable[..., Invoke],
        client_of: Callable[..., Client],
    ) -> None:
        key = made(client, account.alias)
        script = script_at()
        script.ping(key["url"], "/start?rid=a", on="12-20 01:00")
        script.ping(key["url"], "/1?rid=a", on="12-20 01:39", body=b"<b>disk full</b>")
        script.ping(key["url"], "?rid=b", on="12-21 01:39", body=b"fine")
        script.ping(key["url"], "?rid=c", on="12-22 01:39")
        handler_at("notifier")(*map(json.dumps, script.messages()))

        logs = of_account(account.alias, "serverPolicies", key["serverPolicyId"], "outputs")
        items = client_of(account.alias).get(logs).json["items"]

        assert [(item["status"], item["output"]) for item in items] == [
            ("SUCCESS", "fine"),
            ("FAILED", "<b>disk full</b>"),
        ]
        assert items[1]["startedAt"] == "2018-12-20T01:00:00.000Z"
        assert items[1]["finishedAt"] == "2018-12-20T01:39:00.000Z"
        assert items[1]["restorePointId"].endswith("-a")
        assert [item["output"] for item in client_of(account.alias).get(logs, limit=1).json["items"]] == ["fine"]
        other = of_account("OTHER", "serverPolicies", key["serverPolicyId"], "outputs")
        assert client_of("OTHER").get(other).json == {"items": []}

    def test_the_gateway_leads_here(self, url: str, served: HttpApi, emptied: None) -> None:
        path = urlsplit(url).path
        plain = urllib3.PoolManager(retries=False)

        answers = [plain.request(method, f"{served.url}{path}/start") for method in ("POST", "GET", "HEAD", "PUT")]

        assert [answer.status for answer in answers] == [200, 200, 405, 405]
        assert plain.request("GET", f"{served.url}/p/").headers["content-type"] == "application/problem+json"
        assert plain.request("POST", f"{served.url}/p/none").data == b"No such key.\n"
