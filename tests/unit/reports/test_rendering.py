"""Tests of a report's e-mail: its content, and that no name from outside changes how it is read."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from backup_webhooks.events.messages import EventType
from backup_webhooks.monitoring.daily_counts import DayCounts
from backup_webhooks.monitoring.state import ServerState
from backup_webhooks.payloads.sanitize import isolated, sanitize
from backup_webhooks.reports.html import render_html
from backup_webhooks.reports.report import Report, ReportKind, ServerLine
from backup_webhooks.reports.report_email import report_email
from backup_webhooks.reports.subject import subject
from backup_webhooks.reports.text import render_text
from hypothesis import given
from hypothesis import strategies as st

from tests.support.emails import ReadEmail
from tests.support.reports import FAILED, MISSED, NONE, PAGE, UNSUBSCRIBE, on, report, server, webhook

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)' x=\"",
    "&lt;b&gt; &amp;amp; <!-- --> ]]> </td></tr></table>",
    "\u202egpj.exe\u202c \u2067rtl\u2069 \u200f\u200e\u061c",
    "line\r\nBcc: everybody@example.com\n\u2028\u2029\x85next",
    "zero\u200bwidth\ufeff\u2060",
    "=cmd|' /C calc'!A0",
    "\ud800 lone \udfff",
    "long" * 2500,
    "{account} %s %(x)s ${x}",
    "\u05e9\u05e8\u05ea 12",
]
INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def html(made: Report) -> ReadEmail:
    return ReadEmail(render_html(made, PAGE, UNSUBSCRIBE))


def text(made: Report) -> str:
    return render_text(made, PAGE, UNSUBSCRIBE)


def words(made: Report) -> tuple[str, str]:
    """Return the words of both parts, without line breaks."""
    return html(made).text, " ".join(text(made).split())


def named(name: str) -> Report:
    """Return a report in which everything from outside has that name."""
    lines = [
        server(name, account_policy_name=name, server_policy_id=name),
        server(name, "vvvvvvx", account_policy_name=name, state=ServerState.FAILED),
    ]
    hooks = [
        webhook(url=f"https://{name}/{name}", reason=name),
        webhook(reason=name, switched_off_at=on("11-25 01:00")),
    ]
    return report(lines, account=name, webhooks=hooks)


class TestSubject:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"totals": DayCounts(214, 2, 3, 1)}, "3 failed, 1 missed, 2 partial, 214 succeeded"),
            ({"totals": DayCounts(success=1214)}, "all 1,214 succeeded"),
            ({"totals": DayCounts(success=1)}, "1 succeeded"),
            ({"totals": DayCounts(success=5), "cancelled": 2}, "5 succeeded, 2 cancelled"),
            ({"totals": DayCounts(failed=2)}, "2 failed, none succeeded"),
            ({"totals": DayCounts(missed=4)}, "4 missed, no backups"),
            ({}, "no backups"),
            ({"cancelled": 1}, "none succeeded, 1 cancelled"),
            (
                {"totals": DayCounts(5), "webhooks": [webhook(switched_off_at=on("11-25 01:00"))]},
                "all 5 succeeded, 1 webhook off",
            ),
            ({"totals": DayCounts(5), "webhooks": [webhook(), webhook()]}, "all 5 succeeded, 2 webhooks failing"),
            ({"totals": DayCounts(5), "read_until": on("11-25 05:00")}, "all 5 succeeded, may be incomplete"),
        ],
    )
    def test_it_counts_the_worst_first_and_leaves_out_zeros(self, changes: dict[str, Any], expected: str) -> None:
        assert subject(report(**changes)) == f"Backups of TEST: {expected} \u2013 Wed 25 Nov 2026"

    def test_a_server_that_is_still_wrong_since_an_earlier_period_is_reported(self) -> None:
        lines = [server(), server("DB", "vvvvvx-", state=ServerState.FAILED)]

        assert subject(report(lines)).startswith("Backups of TEST: 1 succeeded, 1 server still wrong \u2013")

    def test_a_weekly_one_says_so(self) -> None:
        made = report(end="11-23 06:00", days=7, kind=ReportKind.WEEKLY, totals=DayCounts(7))

        assert subject(made) == "Backups of TEST: all 7 succeeded \u2013 week to Mon 23 Nov 2026"

    def test_its_day_is_that_of_the_accounts_zone(self) -> None:
        assert subject(report(end="11-24 23:30")).endswith("Wed 25 Nov 2026")

    @pytest.mark.parametrize("name", HOSTILE)
    def test_it_is_one_short_line_with_any_account_name(self, name: str) -> None:
        line = subject(
            report(
                account=name,
                totals=DayCounts(10**6, 10**6, 10**6, 10**6),
                cancelled=10**6,
                kind=ReportKind.WEEKLY,
                read_until=on("11-25 05:00"),
                webhooks=[webhook(), webhook(switched_off_at=on("11-25 01:00"))],
            )
        )

        assert len(line) <= 150
        assert len(line.splitlines()) == 1
        assert line.encode()
        assert {c for c in line if unicodedata.category(c) in INVISIBLE} <= {"\u2068", "\u2069"}


class TestPeriod:
    @pytest.mark.parametrize(
        ("start", "end", "kind", "expected"),
        [
            ("11-24 06:00", "11-25 06:00", ReportKind.DAILY, "The 24 hours to Wed 25 Nov 2026, 07:00 (Europe/Berlin)"),
            ("03-28 06:00", "03-29 05:00", ReportKind.DAILY, "The 23 hours to Sun 29 Mar 2026, 07:00 (Europe/Berlin)"),
            ("10-24 05:00", "10-25 06:00", ReportKind.DAILY, "The 25 hours to Sun 25 Oct 2026, 07:00 (Europe/Berlin)"),
            ("10-19 05:00", "10-26 06:00", ReportKind.WEEKLY, "The 7 days to Mon 26 Oct 2026, 07:00 (Europe/Berlin)"),
            ("11-22 06:00", "11-25 06:00", ReportKind.DAILY, "The 3 days to Wed 25 Nov 2026, 07:00 (Europe/Berlin)"),
            ("11-24 06:00", "11-25 18:00", ReportKind.DAILY, "The 36 hours to Wed 25 Nov 2026, 19:00 (Europe/Berlin)"),
            ("11-25 05:00", "11-25 06:00", ReportKind.DAILY, "The hour to Wed 25 Nov 2026, 07:00 (Europe/Berlin)"),
        ],
    )
    def test_its_real_length_and_its_end_are_given(self, start: str, end: str, kind: ReportKind, expected: str) -> None:
        made = report(end=end, start=on(start), kind=kind)

        assert all(expected in said for said in words(made))

    def test_all_times_are_in_the_accounts_zone(self) -> None:
        made = report([server(next_expected_at=on("11-25 23:30"))])

        assert all("Thu 26 Nov, 00:30" in said for said in words(made))

    def test_another_year_is_named(self) -> None:
        made = report([server(next_expected_at=on("2027-01-02 02:00"))])

        assert all("Sat 2 Jan 2027, 03:00" in said for said in words(made))


class TestTotals:
    def test_each_result_is_counted_with_its_change(self) -> None:
        made = report(totals=DayCounts(1214, 2, 3, 1), before=DayCounts(1209, 3, 1, 1))

        assert ["3 +2", "1 no change", "2 \u22121", "1,214 +5"] in html(made).rows
        assert re.search(r"Succeeded +1,214  \(\+5\)\n", text(made))
        assert re.search("Partial +2  \\(\u22121\\)\n", text(made))

    @pytest.mark.parametrize("days", [3, 0.25])
    def test_they_are_not_compared_if_the_period_before_is_not_as_long(self, days: float) -> None:
        made = report(days=days, totals=DayCounts(30), before=DayCounts(10))

        assert all("compare" not in said and "+20" not in said for said in words(made))

    def test_a_day_of_25_hours_is_compared(self) -> None:
        made = report(end="10-25 06:00", start=on("10-24 05:00"), totals=DayCounts(30), before=DayCounts(10))

        assert all("+20" in said for said in words(made))

    def test_cancelled_and_late_backups_are_mentioned_only_if_there_are_any(self) -> None:
        none, some = (
            words(report(totals=DayCounts(9))),
            words(report(totals=DayCounts(9), cancelled=3, late=DayCounts(failed=1, missed=1))),
        )

        assert all("cancelled" not in said and "heard of too late" not in said for said in none)
        assert all("3 more were cancelled." in said for said in some)
        assert all("2 of these were due before this period, and were heard of too late" in said for said in some)

    def test_that_our_own_reading_is_behind_is_said_before_them(self) -> None:
        made = report(totals=DayCounts(9), read_until=on("11-25 05:12"))

        for said in words(made):
            assert said.index("had come to Wed 25 Nov, 06:12") < said.index("Failed")
            assert "may be missing" in said
        assert all("may be missing" not in said for said in words(report()))


def test_a_table_without_successes_says_so() -> None:
    for said in words(report(attachment_complete=False)):
        assert "Attached: the backups that did not succeed" in said
    for said in words(report()):
        assert "Attached: every backup of this report" in said


class TestSilence:
    def test_it_is_reported_even_with_late_backups(self) -> None:
        late = DayCounts(failed=1, missed=1)
        made = report([server()], totals=late, late=late)

        assert "1 failed, 1 missed, no backups since" in subject(made)
        for said in words(made):
            assert "No backup ended in these 24 hours." in said
            assert "never started" not in said

    def test_without_servers_it_is_said_that_none_was_expected(self) -> None:
        for said in words(report()):
            assert "No backup ended in these 24 hours." in said
            assert "No server of this account has an active backup policy" in said
            assert "Nothing needs attention." in said
            assert "There are none" in said

    def test_with_servers_it_is_said_when_a_backup_is_expected(self) -> None:
        made = report([server(strip="vvvvvv-"), server("DB", "vvvvvv-", next_expected_at=on("11-29 02:00"))])

        for said in words(made):
            assert "No backup ended in these 24 hours." in said
            assert "2 servers have an active backup policy; the next backup is expected Thu 26 Nov, 03:00." in said

    def test_a_server_that_should_have_started_is_mentioned(self) -> None:
        for said in words(report([server(strip="vvvvvvm", state=ServerState.MISSED)])):
            assert "No backup ended in these 24 hours. 1 scheduled backup never started." in said

    def test_it_is_not_reported_if_a_backup_ended(self) -> None:
        assert all("No backup ended" not in said for said in words(report([server()])))


class TestAttention:
    def test_a_server_is_listed_with_its_results_and_its_state(self) -> None:
        line = server("DB", period=DayCounts(failed=2, success=4), state=ServerState.FAILED, last_at=on("11-25 04:09"))

        assert ["DB Nightly", "2 failed, 4 succeeded Wed 25 Nov, 05:09", "Failed Thu 26 Nov, 03:00"] in html(
            report([line])
        ).rows
        assert (
            "* DB (Nightly): Failed\n  2 failed, 4 succeeded; latest Wed 25 Nov, 05:09; next Thu 26 Nov, 03:00\n"
        ) in text(report([line]))

    def test_a_server_that_is_well_again_is_said_to_have_recovered(self) -> None:
        assert all("Recovered" in said for said in words(report([server("DB", period=DayCounts(failed=1, success=1))])))

    def test_a_server_that_is_wrong_since_long_ago_is_listed_too(self) -> None:
        line = server("DB", "-------", state=ServerState.FAILED, last_at=None, next_expected_at=None)

        assert ["DB Nightly", "none completed none in 7 days", "Failed none is expected"] in html(report([line])).rows

    def test_they_stand_in_the_reports_order_and_before_all_others(self) -> None:
        lines = [server("A"), server("B", "vvvvvvx"), server("C", "vvvvvvm")]
        made = report(lines, attention=[lines[2], lines[1]])

        for said in words(made):
            in_order = ["Needs attention", "C", "B", "All servers", "A", "B", "C"]
            assert re.search(".*".join(rf"\b{part}\b" for part in in_order), said, re.IGNORECASE)

    def test_a_hundred_are_listed_and_the_others_counted(self) -> None:
        made = report([server(f"S{number:04}", "vvvvvvx", state=ServerState.FAILED) for number in range(5000)])
        listed = text(made).split("ALL SERVERS")[0]

        assert listed.count("* S") == 100
        assert sum(len(row) == 3 and row[0].startswith("S") for row in html(made).rows[:110]) == 101
        assert all("And 4,900 more: see the list of all servers below." in said for said in words(made))

    def test_nothing_needs_attention_is_said(self) -> None:
        assert all("Nothing needs attention." in said for said in words(report([server()])))

    def test_it_is_not_said_if_servers_are_late_or_results_unread(self) -> None:
        late = report([server(state=ServerState.LATE), server("OTHER")])
        unread = report([server()], read_until=on("11-25 05:12"))

        assert all("Nothing is known to need attention; 1 server is late." in said for said in words(late))
        assert all("Nothing is known to need attention." in said for said in words(unread))


class TestWebhooks:
    def test_one_that_its_customer_switched_off_is_off_and_does_not_fail(self) -> None:
        off = report([server()], webhooks=[webhook(enabled=False, undelivered=2)])

        assert "failing" not in subject(off)
        for said in words(off):
            assert "2 notifications not delivered" in said
            assert "Failing" not in said
            assert "in a row" not in said

    def test_one_that_fails_is_listed_with_since_when_and_why(self) -> None:
        for said in words(report([server()], webhooks=[webhook()])):
            assert "Backup Failure" in said
            assert "Failing" in said
            assert "Since Tue 24 Nov, 22:10, 14 failures in a row: answered 503. 2 notifications not delivered." in said
            assert "Nothing needs attention" not in said

    def test_one_that_is_off_is_listed_with_when_and_why(self) -> None:
        off = webhook(
            event_types=[EventType.MISSING],
            switched_off_at=on("11-25 01:00"),
            reason="answered 410 Gone",
            undelivered=0,
        )

        for said in words(report(webhooks=[off])):
            assert "Missing Backups" in said
            assert "Switched off" in said
            assert "Off since Wed 25 Nov, 02:00: answered 410 Gone." in said

    def test_one_that_works_again_is_listed_with_its_lost_deliveries(self) -> None:
        again = webhook(consecutive_failures=0, failing_since=None, undelivered=1, reason=None)

        for said in words(report(webhooks=[again])):
            assert "Works again" in said
            assert "1 notification not delivered." in said

    @pytest.mark.parametrize(
        "url",
        [
            "https://hooks.example.com/services/T0/secret?token=secret#secret",
            "https://user:secret@hooks.example.com:8443/secret",
        ],
    )
    def test_of_its_url_nothing_but_the_host_is_shown(self, url: str) -> None:
        email = report_email(report(webhooks=[webhook(url=url)]), (), PAGE, UNSUBSCRIBE)

        assert "hooks.example.com" in email.html
        assert "hooks.example.com" in email.text
        assert "secret" not in email.html + email.text + email.subject

    @pytest.mark.parametrize("url", ["https://[broken/secret", "", "//"])
    def test_one_whose_url_cannot_be_read_is_listed(self, url: str) -> None:
        for said in words(report(webhooks=[webhook(url=url)])):
            assert "unknown host" in said
            assert "secret" not in said


class TestAllServers:
    def test_each_has_a_mark_a_day_and_a_state(self) -> None:
        made = report([server("DB", "v!xm-vv", state=ServerState.LATE)])

        assert ["Server and policy", "Now, next backup", *"TFSSMTW"] in html(made).rows
        assert ["DB Nightly", "Late Thu 26 Nov, 03:00", *"\u2713!\u2715M\u2013\u2713\u2713"] in html(made).rows
        assert "DB (Nightly)\n  \u2713 ! \u2715 M \u2013 \u2713 \u2713  Late, next Thu 26 Nov, 03:00\n" in text(made)

    def test_a_mark_is_the_worst_of_its_day(self) -> None:
        line = server("DB", strip="vvvvvvv")
        days = [FAILED + MISSED, DayCounts(5, 1, 1), DayCounts(5, 1), DayCounts(5), NONE, NONE, NONE]
        made = report([ServerLine("p", "DB", "Nightly", line.state, NONE, days)])

        assert [*"M\u2715!\u2713\u2013\u2013\u2013"] in [row[2:] for row in html(made).rows]

    def test_its_marks_are_read_aloud_as_what_they_mean(self) -> None:
        labels = [
            element.attributes["aria-label"]
            for element in html(report([server("DB", "v!xm-vv")])).of("b")
            if element.attributes.get("role") == "img"
        ]

        assert labels == ["partly succeeded", "failed", "missed", "none completed"]

    def test_late_is_explained_if_a_server_is_late(self) -> None:
        assert all("Late: the scheduled" in said for said in words(report([server(state=ServerState.LATE)])))
        assert all("Late: the scheduled" not in said for said in words(report([server()])))

    @pytest.mark.parametrize("state", ServerState)
    def test_every_state_has_its_word(self, state: ServerState) -> None:
        made = report([server("DB", state=state)])

        assert html(made).well_formed
        assert text(made)

    def test_all_5000_are_listed_and_a_row_is_small(self) -> None:
        few = [server(f"IL1TESTSERVER{number:05}") for number in range(5000)]
        most = [server(f"IL1TESTSERVER{number:05}", "-------", state=ServerState.UNKNOWN) for number in range(5000)]
        without = len(render_html(report(few[:1]), PAGE, UNSUBSCRIBE))

        read = html(report(few))

        assert len({row[0] for row in read.rows if row[0].startswith("IL1TESTSERVER")}) == 5000
        assert sum("IL1TESTSERVER" in line for line in text(report(few)).splitlines()) == 5000
        assert (len(render_html(report(few), PAGE, UNSUBSCRIBE).encode()) - without) / 5000 < 300
        assert len(render_html(report(most), PAGE, UNSUBSCRIBE).encode()) / 5000 < 800

    def test_every_row_of_a_table_has_as_many_cells_as_its_head(self) -> None:
        lines = [server("A", "v!xm-vv", state=state) for state in ServerState]
        tables: list[list[int]] = []
        for element in html(report(lines, webhooks=[webhook()])).elements:
            if element.tag == "table" and element.attributes.get("role") != "presentation":
                tables.append([])
            elif tables and element.tag == "tr":
                tables[-1].append(0)
            elif tables and element.tag in ("th", "td") and tables[-1]:
                # The rows after the last data table are layout.
                tables[-1][-1] += element.attributes.get("class") != "m p"

        assert [set(cells) - {0} for cells in tables] == [{4}, {3}, {2}, {9}]


class TestHtml:
    def test_it_is_whole_and_names_its_language_and_title(self) -> None:
        made = report([server(), server("DB", "vvvvvvx")], webhooks=[webhook()])
        read = html(made)

        assert read.well_formed
        assert read.of("html")[0].attributes["lang"] == "en"
        assert [title.text for title in read.of("title")] == [subject(made)]
        assert "1 failed, 1 succeeded" in read.of("div")[0].text

    def test_it_fetches_nothing_and_runs_nothing(self) -> None:
        page = render_html(report([server()], webhooks=[webhook()]), PAGE, UNSUBSCRIBE)
        read = ReadEmail(page)

        assert not read.of("img") + read.of("script") + read.of("link") + read.of("iframe") + read.of("form")
        assert not any({"src", "srcset", "background", "poster"} & set(element.attributes) for element in read.elements)
        assert "url(" not in page
        assert "@import" not in page
        assert {link.attributes["href"] for link in read.of("a")} == {PAGE, UNSUBSCRIBE}

    def test_it_has_colours_for_the_dark_in_a_style_sheet_that_gmail_keeps(self) -> None:
        read = html(report())

        assert {"color-scheme", "supported-color-schemes"} <= {meta.attributes.get("name") for meta in read.of("meta")}
        assert "prefers-color-scheme:dark" in read.of("style")[0].text
        assert len(read.of("style")[0].text) < 8192

    def test_its_tables_of_data_have_headings(self) -> None:
        read = html(report([server("DB", "vvvvvvx")], webhooks=[webhook()]))

        assert {heading.attributes["scope"] for heading in read.of("th")} == {"col", "row"}

    @pytest.mark.parametrize("name", HOSTILE)
    def test_no_name_adds_an_element_or_an_attribute(self, name: str) -> None:
        read = html(named(name))

        assert read.well_formed
        assert read.shapes == html(named("IL1TESTWEB01")).shapes
        assert {link.attributes["href"] for link in read.of("a")} == {PAGE, UNSUBSCRIBE}

    def test_a_name_is_shown_as_it_is(self) -> None:
        name = '\u05e9\u05e8\u05ea & <b>\U0001f4be "caf\u00e9"'

        assert [name, name] in [
            [part.text for part in html(report([server(name, account_policy_name=name)])).of("bdi")][1:]
        ]

    def test_our_own_addresses_are_escaped_too(self) -> None:
        link = 'https://backup.example/?a=1&copy=2"><script>'
        read = ReadEmail(render_html(report(), PAGE, link))

        assert {anchor.attributes["href"] for anchor in read.of("a")} == {PAGE, link}
        assert not read.of("script")


class TestText:
    def test_its_lines_fit_a_terminal(self) -> None:
        made = report(
            [server(), server("DB", "v!xm-vx", period=DayCounts(1, 2, 3, 4), state=ServerState.FAILED)],
            webhooks=[webhook(reason="answered 503, and much is to be said of that " * 4)],
            read_until=on("11-25 05:12"),
            cancelled=1,
            late=DayCounts(success=1),
        )

        assert max(map(len, text(made).splitlines())) <= 78

    def test_addresses_stand_on_lines_of_their_own(self) -> None:
        assert {PAGE, UNSUBSCRIBE} <= set(text(report()).splitlines())

    @pytest.mark.parametrize("name", HOSTILE)
    def test_no_name_breaks_a_line_or_turns_one_round(self, name: str) -> None:
        said = text(named(name))

        assert said.encode()
        assert len(said.splitlines()) == len(said.split("\n")) - said.endswith("\n")
        assert {c for c in said if unicodedata.category(c) in INVISIBLE} <= {"\n", "\u2068", "\u2069"}
        assert said.count("\u2068") == said.count("\u2069")

    def test_it_says_the_same_as_the_html(self) -> None:
        made = report(
            [server(state=ServerState.LATE), server("DB", "vvvvvvx")],
            webhooks=[webhook()],
            cancelled=1,
            late=DayCounts(success=1),
            read_until=on("11-25 05:00"),
        )
        first, *said, last = [paragraph.text for paragraph in html(made).of("p")]

        assert (first, last) == ("Simple Backup", "Open Simple Backup · Stop these e-mails")
        assert len(said) == 9
        assert [sentence for sentence in said if sentence not in " ".join(text(made).split())] == []


class TestLegible:
    @given(st.text(max_size=300), st.integers(5, 100))
    def test_nothing_is_left_that_is_invisible_and_it_is_short(self, name: str, most: int) -> None:
        shown = sanitize(name, most)

        assert len(shown) <= most
        assert not {unicodedata.category(character) for character in shown} & INVISIBLE
        assert "\ufffd\ufffd" not in shown
        assert sanitize(shown, most) == shown

    def test_no_control_format_or_separator_of_unicode_is_left(self) -> None:
        harmful = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in INVISIBLE]

        assert len(harmful) > 2000
        assert {sanitize(character) for character in harmful} == {"\ufffd"}

    @pytest.mark.parametrize(
        "name",
        ["IL1TESTWEB01", "Caf\u00e9 \u00d8l", "\u05e9\u05e8\u05ea", "\u670d\u52a1\u5668", "\U0001f4be", "a\u00a0b", ""],
    )
    def test_an_honest_name_stays_as_it_is(self, name: str) -> None:
        assert sanitize(name) == name

    def test_a_long_name_is_cut_with_an_ellipsis(self) -> None:
        assert sanitize("x" * 81) == "x" * 79 + "\u2026"
        assert sanitize("x" * 80) == "x" * 80

    def test_it_is_not_cut_between_a_letter_and_its_accent(self) -> None:
        assert sanitize("ab" + "e\u0301" * 10, 6) == "abe\u0301\u2026"

    def test_a_name_from_right_to_left_leaves_the_order_of_its_line(self) -> None:
        assert isolated("\u05e9\u05e8\u05ea 12") == "\u2068\u05e9\u05e8\u05ea 12\u2069"
        assert isolated("IL1TESTWEB01") == "IL1TESTWEB01"


@given(st.text(max_size=60))
def test_any_name_leaves_the_email_whole(name: str) -> None:
    read = html(named(name))

    assert read.well_formed
    assert read.shapes == html(named("IL1TESTWEB01")).shapes


def test_the_email_has_all_its_parts() -> None:
    made = report([server()])
    email = report_email(made, (), PAGE, UNSUBSCRIBE)

    assert (email.subject, email.attachments) == (subject(made), ())
    assert (email.text, email.html) == (text(made), render_html(made, PAGE, UNSUBSCRIBE))
