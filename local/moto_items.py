"""Patches of moto's DynamoDB: items are copied, measured and written as they are. The answers stay the same."""

from __future__ import annotations

import functools
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from moto.core.model import StructureShape
from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb.exceptions import ItemSizeTooLarge
from moto.dynamodb.models.dynamo_type import DDBType, DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize

# As in moto's LimitedSizeDict.
_LARGEST_ITEM = 405_000
_MOST_DIGITS = 38
_SETS = (DDBType.STRING_SET, DDBType.NUMBER_SET, DDBType.BINARY_SET)


@functools.cache
def make_items_quick() -> None:
    """Make moto measure a new item once, and copy and project values as they are.

    moto measures the whole item again with each attribute, and converts it to Python and back for each path.
    """
    project = Item.project

    def __init__(item: Item, hash_key: DynamoType, range_key: DynamoType | None, attrs: Mapping[str, Any]) -> None:
        item.hash_key, item.range_key, item.attrs = hash_key, range_key, LimitedSizeDict()
        for name, value in attrs.items():
            dict.__setitem__(item.attrs, name, DynamoType(value))
        if item.size() > _LARGEST_ITEM:
            raise ItemSizeTooLarge

    def project_as_is(item: Item, paths: list[list[str]]) -> Item:
        if not all(len(path) == 1 and "[" not in path[0] and _survives(item.attrs.get(path[0])) for path in paths):
            return project(item, paths)
        return Item(item.hash_key, item.range_key, {name: item.attrs[name] for (name,) in paths if name in item.attrs})

    Item.__init__ = __init__  # type: ignore[assignment, method-assign]
    Item.project = project_as_is  # type: ignore[assignment, method-assign]
    Item.size = lambda item: _size_of_map(item.attrs)  # type: ignore[assignment, method-assign]
    DynamoType.__deepcopy__ = _copied  # type: ignore[assignment, method-assign]
    DynamoType.size = _size  # type: ignore[assignment, method-assign]


def _survives(value: DynamoType | None) -> bool:
    """Return whether a conversion to Python and back leaves the value as it is; it does if there is none."""
    if value is None or value.type == DDBType.STRING:
        return True
    if value.type == DDBType.NUMBER:
        return len(value.value) <= _MOST_DIGITS and value.value.isdecimal() and str(int(value.value)) == value.value
    if value.type == DDBType.MAP:
        return all(map(_survives, value.value.values()))
    return bool(value.type == DDBType.LIST) and all(map(_survives, value.value))


def _copied(value: DynamoType, _: Any = None) -> DynamoType:
    """Return a deep copy. No value holds itself, so it needs no record of copies, which takes most of the time."""
    copied, inner = object.__new__(DynamoType), value.value
    if value.type == DDBType.MAP:
        inner = {name: _copied(part) for name, part in inner.items()}
    elif value.type == DDBType.LIST:
        inner = [_copied(part) for part in inner]
    elif value.type in _SETS:
        inner = list(inner)
    copied.type, copied.value = value.type, inner
    return copied


def _size(value: DynamoType) -> int:
    """Return moto's measure. Its own method makes new objects of all parts first."""
    kind, inner = value.type, value.value
    if kind == DDBType.MAP:
        return _size_of_map(inner)
    if kind == DDBType.LIST:
        return sum(map(_size, inner))
    if kind in _SETS:
        return sum(_size(DynamoType({kind[0]: part})) for part in inner)
    if kind == DDBType.NUMBER:
        return len(str(inner))
    return 1 if isinstance(inner, bool) else bytesize(inner)


def _size_of_map(attributes: Mapping[str, DynamoType]) -> int:
    # Nearly all is text, which is encoded at once.
    texts = [value.value for value in attributes.values() if value.type == DDBType.STRING]
    others = [_size(value) for value in attributes.values() if value.type != DDBType.STRING]
    return bytesize("".join([*attributes, *texts])) + sum(others)


@functools.cache
def make_answers_quick() -> None:
    """Make moto write attributes as they are. It looks for each of their ten types under five names."""
    serialize = BaseJSONSerializer._serialize_type_structure

    def serialize_attribute(
        serializer: BaseJSONSerializer, serialized: Any, value: Any, shape: StructureShape, key: str
    ) -> None:
        if shape.name == "AttributeValue" and serializer.service_model.service_name == "dynamodb":
            serialized[key] = _wire(value)
        else:
            serialize(serializer, serialized, value, shape, key)

    BaseJSONSerializer._serialize_type_structure = serialize_attribute  # type: ignore[assignment, method-assign]


def _wire(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an attribute as it goes over the wire: as moto has it here, but for binary values."""
    ((kind, inner),) = value.items()
    if kind == DDBType.MAP:
        return {kind: {name: _wire(part) for name, part in inner.items()}}
    if kind == DDBType.LIST:
        return {kind: [_wire(part) for part in inner]}
    if kind == DDBType.BINARY:
        return {kind: b64encode(inner).decode()}
    return {kind: [b64encode(part).decode() for part in inner] if kind == DDBType.BINARY_SET else inner}
