"""Settings: a function's environment variables as one typed, frozen value, read at its first invocation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Self

import msgspec
from msgspec import Meta, Struct

Text = Annotated[str, Meta(min_length=1)]
Flag = Annotated[str, Meta(pattern=r"^(true|false)\Z")]
WholeNumber = Annotated[int, Meta(ge=1, le=999_999)]


class InvalidSetting(RuntimeError):
    """An environment variable that is missing or cannot be used. The text names it and says what is allowed."""


class Settings(Struct, frozen=True, kw_only=True, rename=str.upper):
    """Base of the settings: the field `webhooks_table` is the variable WEBHOOKS_TABLE, which template.yaml sets."""

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return the settings. Raise `InvalidSetting` for a variable that is missing, empty or misspelt."""
        try:
            return msgspec.convert(dict(environment), cls, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidSetting(f"{error} (an environment variable that template.yaml sets)") from None
