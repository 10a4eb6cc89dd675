"""OpenAPI 3.1 from the table of routes and the contract's Structs: nothing is written twice."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import Struct
from starlette.routing import compile_path

from contracts.api import Problem
from contracts.events import AnyEvent
from storefront.endpoint import JSON, LIMITED, Endpoint
from storefront.problems import MEDIA, TITLES

REF = "#/components/schemas/{name}"
Document = dict[str, Any]  # JSON on its way out; its form is OpenAPI's, not ours


def document(endpoints: Sequence[Endpoint], surfaces: Sequence[str]) -> bytes:
    """The whole document as JSON. ``surfaces``: the names that there are."""
    kinds: list[Any] = [Problem, AnyEvent, *_kinds(endpoints)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REF)
    refs = dict(zip(map(id, kinds), schemas, strict=True))
    paths: Document = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, refs, refs[id(kinds[1])], surfaces)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "daogou", "version": version("daogou"), "description": "Every click changes what the "
                     "shopper sees next. Keys and visitors' tokens go into `Authorization: Bearer`."},
            "paths": paths,
            "components": {"schemas": components, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
            "security": [{"key": []}],
        }
    )  # fmt: skip


def _kinds(endpoints: Sequence[Endpoint]) -> Iterator[type[Struct]]:
    found = (kind for each in endpoints for kind in (each.answer, each.body) if kind is not None)
    return iter(dict.fromkeys(found))


def _operation(each: Endpoint, refs: dict[int, Any], event: Document, surfaces: Sequence[str]) -> Document:
    found: Document = {
        "operationId": each.handler.__name__,
        "summary": each.summary,
        "description": f"{each.handler.__doc__ or ''}\n\nFor: {', '.join(role.value for role in each.roles)}.",
        "parameters": [*_path_parameters(each), *_query_parameters(each, surfaces)],
        "responses": {str(status): _response(each, status, refs) for status in _statuses(each)},
    }
    if each.raw:
        many = {"type": "array", "items": event, "minItems": 1, "maxItems": 1000}
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": {"anyOf": [event, many]}}}}
    elif each.body is not None:
        found["requestBody"] = {"content": {JSON: {"schema": refs[id(each.body)]}}}
    return found


def _statuses(each: Endpoint) -> list[int]:
    also = {400, 401, 403, 408, 431, 503, *each.also} | ({413} if each.raw or each.body else set())
    limited = {429} if set(LIMITED) & set(each.roles) else set()
    return [each.status, *sorted((also | limited) - {each.status})]


def _response(each: Endpoint, status: int, refs: dict[int, Any]) -> Document:
    if status == each.status or (each.raw and status == 422):
        if each.answer is None:
            return {"description": "Server-sent events: `slate`, `forgotten`.", "content": {"text/event-stream": {}}}
        return {"description": each.summary, "content": {JSON: {"schema": refs[id(each.answer)]}}}
    schema = REF.format(name=Problem.__name__)
    return {"description": TITLES[status], "content": {MEDIA: {"schema": {"$ref": schema}}}}


def _path_parameters(each: Endpoint) -> Iterator[Document]:
    for name in compile_path(each.path)[2]:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameters(each: Endpoint, surfaces: Sequence[str]) -> Iterator[Document]:
    if each.query is None:
        return
    shape = msgspec.json.schema(each.query)["$defs"][each.query.__name__]
    for name, schema in shape["properties"].items():
        known = {**schema, "enum": list(surfaces)} if name == "surface" else schema
        yield {"name": name, "in": "query", "required": name in shape.get("required", ()), "schema": known}
