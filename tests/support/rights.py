"""A plugin of pytest: at the end of a run of all tests of handlers, no role may have a right that no test has used.

With pytest-xdist each worker knows the rights that its own tests have not used. A right that no worker has used fails
the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.access import Access

NAME = "unused-rights"
_FOLDER = Path(__file__).parents[1] / "integration"


class UnusedRights:
    """`access`: set by the fixture of that name, in the process in which handlers run."""

    def __init__(self) -> None:
        self.access: Access | None = None
        self._all_tests = False
        self._unused: set[str] | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> Any:
        """Mark the tests that run a handler, and note whether all of them are going to run."""
        modules, handlers = {item.path for item in items}, [item for item in items if _runs_handler(item)]
        for item in handlers:
            item.add_marker("handler")
        yield
        self._all_tests = (
            modules >= set(_FOLDER.rglob("test_*.py"))
            and not any("::" in argument for argument in config.args)
            and set(items) >= set(handlers)
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker has sent at its end."""
        if "unused_rights" in getattr(node, "workeroutput", {}):
            self._add(node.workeroutput["unused_rights"])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send the unused rights to the controller, or fail the run if there are any."""
        mine = self.access.unused() if self.access and self._all_tests else None
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            if mine is not None:
                output["unused_rights"] = mine
            return
        if mine is not None:
            self._add(mine)
        if self._unused and not session.testsfailed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Name them."""
        if self._unused and not terminalreporter.stats.get("failed"):
            terminalreporter.section("rights that no test has used")
            for right in sorted(self._unused):
                terminalreporter.line(right)

    def _add(self, unused: Iterable[str]) -> None:
        self._unused = set(unused) if self._unused is None else self._unused & set(unused)


def _runs_handler(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "handler_of" in item.fixturenames
