"""Markup that more than one destination has."""

from __future__ import annotations


def escape_tags(text: str) -> str:
    """The text with `&`, `<` and `>` as entities: all that Slack, and HTML between tags, read anything into."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
