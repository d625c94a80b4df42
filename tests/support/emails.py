"""An e-mail's HTML as a mail program reads it: elements, attributes and text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = {"meta", "br"}
_INLINE = {"a", "abbr", "b", "bdi", "small", "span"}


@dataclass
class Element:
    """An element. `text`: all text within it, with single spaces."""

    tag: str
    attributes: dict[str, str]
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).split())


class ReadEmail(HTMLParser):
    """The elements in document order. `well_formed`: whether all were closed in the right order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.well_formed = True
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        self.well_formed = self.well_formed and not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))
        if tag in _VOID:
            for element in self._open:
                element.parts.append(" ")
        else:
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop().tag != tag:
            self.well_formed = False
        if tag not in _INLINE:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.parts.append(data)

    def of(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    @property
    def text(self) -> str:
        """Return the text of the body."""
        return self.of("body")[0].text

    @property
    def rows(self) -> list[list[str]]:
        """Return the rows of the data tables, each as the texts of its cells."""
        rows: list[list[str]] = []
        for element in self.elements:
            if element.tag == "tr":
                rows.append([])
            elif element.tag in ("th", "td") and rows:
                rows[-1].append(element.text)
        return rows

    @property
    def shapes(self) -> set[tuple[str, frozenset[str]]]:
        """Return the set of elements, each with the names of its attributes."""
        return {(element.tag, frozenset(element.attributes)) for element in self.elements}
