"""The contract that a job publishes (SPEC 4.1): OpenAPI 3.1 from signatures, annotations, docstrings."""

from __future__ import annotations

import dataclasses
import datetime
import enum
from typing import Annotated, Any, BinaryIO, Dict, List, Literal, Optional, TypedDict, Union  # noqa: UP035

import pytest
from werkzeug.datastructures import FileStorage

import pyjob
from tests.conftest import ClientOf, MakeJob


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Tree:
    name: str
    children: List[Tree] = dataclasses.field(default_factory=list)  # noqa: UP006


class Row(TypedDict, total=False):
    x: float
    note: str


class Unset:
    pass


def document_of(client_of: ClientOf, job: type) -> dict[str, Any]:
    answer = client_of(job).get("/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json
    return document


def schema_of(client_of: ClientOf, annotation: Any, default: Any = Unset) -> Any:
    """The schema of a parameter with ``annotation``."""

    class Job:
        def perform(self, value) -> None:  # type: ignore[no-untyped-def]
            pass

    Job.perform.__annotations__["value"] = annotation
    if default is not Unset:
        Job.perform.__defaults__ = (default,)
    operation = document_of(client_of, Job)["paths"]["/api/v1/perform"]["post"]
    return operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["value"]


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (str, {"type": "string"}),
        (None, {"type": "null"}),
        (Any, {}),
        (object, {}),
        (Unset, {}),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        (datetime.datetime, {"type": "string", "format": "date-time"}),
        (list, {"type": "array"}),
        (List[float], {"type": "array", "items": {"type": "number"}}),  # noqa: UP006
        (list[list[int]], {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
        (Dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),  # noqa: UP006
        (
            tuple[int, str],
            {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
            },
        ),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
        (Union[int, str], {"anyOf": [{"type": "integer"}, {"type": "string"}]}),  # noqa: UP007
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (int | Any, {}),
        (Literal["a", 1, None], {"enum": ["a", 1, None]}),
        (Annotated[int, "positive"], {"type": "integer"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("NoSuchName", {}),
    ],
)
def test_an_annotation_becomes_a_schema(client_of: ClientOf, annotation: Any, schema: Any) -> None:
    assert schema_of(client_of, annotation) == schema


def test_defaults_are_shown_and_null_is_fine_where_it_is_the_default(client_of: ClientOf) -> None:
    assert schema_of(client_of, float, 2) == {"type": "number", "default": 2}
    assert schema_of(client_of, int, None) == {
        "anyOf": [{"type": "integer"}, {"type": "null"}],
        "default": None,
    }
    assert schema_of(client_of, float, float("inf")) == {"type": "number"}


def test_classes_become_components(client_of: ClientOf) -> None:
    class Job:
        def perform(self, tree: Tree, row: Row, color: Color = Color.RED) -> Tree: ...  # type: ignore[empty-body]

    document = document_of(client_of, Job)
    schemas = document["components"]["schemas"]
    operation = document["paths"]["/api/v1/perform"]["post"]
    payload = operation["requestBody"]["content"]["application/json"]["schema"]
    assert payload == {
        "type": "object",
        "properties": {
            "tree": {"$ref": "#/components/schemas/Tree"},
            "row": {"$ref": "#/components/schemas/Row"},
            "color": {"$ref": "#/components/schemas/Color"},
        },
        "required": ["tree", "row"],
        "additionalProperties": False,
    }
    assert schemas["Color"] == {"type": "string", "enum": ["red", "blue"]}
    assert schemas["Tree"]["properties"]["children"]["items"] == {"$ref": "#/components/schemas/Tree"}
    assert schemas["Tree"]["required"] == ["name"]
    assert schemas["Row"]["properties"]["x"] == {"type": "number"}
    assert "required" not in schemas["Row"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Tree"
    }


@pytest.mark.parametrize(
    "docstring",
    [
        "Add numbers.\n\nSlowly.\n\n:param x: The first.\n:return: The sum.",
        "Add numbers.\n\nSlowly.\n\nArgs:\n    x (float): The first.\n\nReturns:\n    The sum.",
        "Add numbers.\n\nSlowly.\n\nParameters\n----------\nx : float\n    The first.\n\n"
        "Returns\n-------\nfloat\n    The sum.",
    ],
    ids=["reST", "Google", "NumPy"],
)
def test_docstrings_describe_operation_parameters_and_result(client_of: ClientOf, docstring: str) -> None:
    class Job:
        """Knows numbers.

        All of *them*.
        """

        def perform(self, x: float) -> float:
            return x

    Job.perform.__doc__ = docstring
    document = document_of(client_of, Job)
    operation = document["paths"]["/api/v1/perform"]["post"]
    assert document["info"]["summary"] == "Knows numbers."
    assert document["info"]["description"] == "All of *them*."
    assert operation["summary"] == "Add numbers."
    assert operation["description"] == "Slowly."
    properties = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert properties["x"]["description"] == "The first."
    assert operation["responses"]["200"]["description"] == "The sum."


def test_every_error_is_documented_with_its_schema(client_of: ClientOf) -> None:
    class Job:
        def perform(self) -> None: ...

    document = document_of(client_of, Job)
    responses = document["paths"]["/api/v1/perform"]["post"]["responses"]
    assert set(responses) == {"200", "400", "413", "415", "500", "503"}
    for status, reference in responses.items():
        if status != "200":
            name = reference["$ref"].rpartition("/")[2]
            content = document["components"]["responses"][name]["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/Error"}
    assert document["components"]["schemas"]["Error"]["required"] == ["error", "type"]


@pytest.mark.parametrize("prefix", ["", "/pub/job/x/1.0.0"])
def test_servers_are_right_below_every_prefix(client_of: ClientOf, mount: str, prefix: str) -> None:
    class Job:
        def perform(self) -> None: ...

    document = client_of(Job).get(f"{prefix}/openapi.json").json
    assert document["servers"] == [{"url": mount + prefix or "/"}]


def test_open_keywords_are_additional_properties(client_of: ClientOf) -> None:
    class Job:
        def perform(self, **fields: float) -> None: ...

    operation = document_of(client_of, Job)["paths"]["/api/v1/perform"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["additionalProperties"] is True
    assert operation["requestBody"]["required"] is False


def test_the_schemas_are_valid_json_schema(client_of: ClientOf) -> None:
    jsonschema = pytest.importorskip("jsonschema")

    class Job:
        def perform(self, tree: Tree, row: Row, many: Dict[str, Optional[List[Color]]]) -> Tree: ...  # type: ignore[empty-body]  # noqa: UP006, UP045

    document = document_of(client_of, Job)
    operation = document["paths"]["/api/v1/perform"]["post"]
    payload = operation["requestBody"]["content"]["application/json"]["schema"]
    for schema in [payload, *document["components"]["schemas"].values()]:
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_operation_has_an_id_of_its_own(client_of: ClientOf) -> None:
    class Job:
        def perform(self) -> None: ...

        def auxiliary_endpoints(self) -> dict[str, Any]:
            return {"/a/b": self.perform, "/a_b": self.perform, "/live": self.perform}

        def auxiliary_endpoints_v2(self) -> list[pyjob.EndpointConfig]:
            return [
                pyjob.EndpointConfig("/a/{b}", "POST", lambda b: b),
                pyjob.EndpointConfig("/a/b", "GET", self.perform),
            ]

    paths = client_of(Job).get("/openapi.json").json["paths"]
    ids = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert sorted(ids) == sorted(set(ids))
    assert paths["/live"]["get"]["operationId"] == "live"
    assert paths["/api/v1/live"]["post"]["operationId"] == "live_2"


def test_files_and_the_web_view_are_listed(make_job: MakeJob, client_of: ClientOf) -> None:
    code = """
    class Job:
        def static_endpoints(self):
            return {"/one": ("a.txt", "text/plain"), "/{x}": "a.txt", "/all": "folder"}

        def webview_app(self, base_url):
            return lambda environ, start_response: []
    """
    client = client_of(make_job(code, files={"a.txt": "", "folder/b.txt": ""}))
    paths = client.get("/openapi.json").json["paths"]
    assert paths["/api/v1/one"]["get"]["responses"]["200"]["content"] == {"text/plain": {}}
    assert {"/api/v1/%7Bx%7D", "/api/v1/all/{path}", "/api/v1/webview/"} < paths.keys()
    assert client.get("/api/v1/{x}").status_code == 200


class Filed:
    def perform(self, image: FileStorage, sizes: list[int], count: Optional[int] = None) -> None:  # noqa: UP045
        """Shrink an image.

        :param image: The image.
        :param count: How many.
        """

    def one(self, file: Annotated[Optional[BinaryIO], "a file"] = None, label: str = "x") -> None: ...  # noqa: UP045

    def two(self, first: bytes = b"", second: bytes = b"", more: Optional[list[int]] = None) -> None: ...  # noqa: UP045

    def several(self, files: list[bytes], more: dict[str, bytes] = {}) -> None: ...  # noqa: B006

    def none(self, more: dict[str, bytes]) -> None: ...

    def auxiliary_endpoints(self) -> dict[str, Any]:
        return {"/one": self.one, "/two": self.two, "/several": self.several, "/none": self.none}


def body_of(client_of: ClientOf, path: str) -> dict[str, Any]:
    operation = document_of(client_of, Filed)["paths"][f"/api/v1/{path}"]["post"]
    body: dict[str, Any] = operation["requestBody"]
    return body


BINARY = {"type": "string", "format": "binary"}
BASE64 = {"type": "string", "contentEncoding": "base64"}


def test_a_parameter_that_takes_a_file_is_a_file_in_a_form_and_base64_in_json(client_of: ClientOf) -> None:
    body = body_of(client_of, "perform")
    assert body["required"] is True
    # A page offers the first one.
    assert list(body["content"]) == ["multipart/form-data", "application/json"]
    sizes = {"type": "array", "items": {"type": "integer"}}
    assert body["content"]["multipart/form-data"] == {
        "schema": {
            "type": "object",
            "properties": {
                "image": {**BINARY, "description": "The image."},
                "sizes": sizes,
                "count": {"type": "integer", "description": "How many."},
            },
            "required": ["image", "sizes"],
            "additionalProperties": False,
        },
        "encoding": {"sizes": {"contentType": "application/json"}},
    }
    properties = body["content"]["application/json"]["schema"]["properties"]
    assert properties["image"] == {**BASE64, "description": "The image."}
    assert properties["count"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]


def test_one_file_may_be_the_body_where_nothing_else_is_required(client_of: ClientOf) -> None:
    body = body_of(client_of, "one")
    assert body["required"] is False
    assert list(body["content"]) == ["multipart/form-data", "application/octet-stream", "application/json"]
    assert body["content"]["application/octet-stream"] == {"schema": BINARY}
    form = body["content"]["multipart/form-data"]
    assert form["schema"]["properties"] == {"file": BINARY, "label": {"type": "string", "default": "x"}}
    assert "encoding" not in form
    schema = body["content"]["application/json"]["schema"]
    assert schema["properties"]["file"] == {"anyOf": [BASE64, {"type": "null"}], "default": None}
    # Of two, nobody knows which it would be.
    content = body_of(client_of, "two")["content"]
    assert list(content) == ["multipart/form-data", "application/json"]
    # What is sent as JSON, even in a form, may be null.
    in_form, in_json = (content[kind]["schema"]["properties"]["more"] for kind in content)
    assert in_form == in_json
    assert {"type": "null"} in in_form["anyOf"]


def test_a_list_of_files_is_several_parts(client_of: ClientOf) -> None:
    content = body_of(client_of, "several")["content"]
    assert list(content) == ["multipart/form-data", "application/json"]
    form = content["multipart/form-data"]["schema"]["properties"]
    assert form["files"] == {"type": "array", "items": BINARY, "minItems": 1}
    assert form["more"] == {"type": "object", "additionalProperties": BASE64, "default": {}}
    assert content["application/json"]["schema"]["properties"]["files"] == {"type": "array", "items": BASE64}
    # A file deeper than that comes in JSON alone.
    assert list(body_of(client_of, "none")["content"]) == ["application/json"]
