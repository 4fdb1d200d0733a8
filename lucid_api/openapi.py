"""The OpenAPI document: what the framework makes of the endpoints, with problems as they really are."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lucid_api.http.rate_limits import TooManyRequests
from lucid_api.problems import Invalid, ProblemDocument, problems

_FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")


def document_of(app: FastAPI) -> dict[str, Any]:
    """The document of an app, made at first use."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
            license_info=app.license_info,
        )
        _tell_of_problems(document)
        app.openapi_schema = document
    return app.openapi_schema


def _tell_of_problems(document: dict[str, Any]) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORK_SCHEMAS:
        schemas.pop(name, None)
    schemas[ProblemDocument.__name__] = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    invalid = problems(Invalid)[int(Invalid.status)]
    too_many = {str(status): response for status, response in problems(TooManyRequests).items()}
    for operations in document["paths"].values():
        for operation in operations.values():
            of_framework = operation["responses"].get(str(int(Invalid.status)))
            if of_framework and "HTTPValidationError" in str(of_framework):
                operation["responses"][str(int(Invalid.status))] = invalid
            if "security" in operation:
                operation["responses"] |= too_many
