"""The API's description: the committed file, and Swagger UI over it from local files.

The schema is not generated per request: the generator is not safe for threads.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404, HttpResponse
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

REFUSAL = {
    "type": "object",
    "required": ["code", "message", "fields"],
    "properties": {
        "code": {"type": "string"},
        "message": {"type": "string"},
        "fields": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
REFUSED = {
    "description": "A refusal: a stable code, and a message in the language of the request.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
}


def describe_refusals(
    result: dict[str, Any], generator: Any, request: Any, public: bool
) -> dict[str, Any]:
    """Give every operation of the schema the one shape of all refusals."""
    result.setdefault("components", {}).setdefault("schemas", {})["Refusal"] = REFUSAL
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"].setdefault("default", REFUSED)
    return result


class SchemaView(APIView):
    """The OpenAPI description of this API."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """Send docs/openapi.yaml."""
        path = settings.BASE_DIR / "docs" / "openapi.yaml"
        if not path.exists():
            raise Http404
        return HttpResponse(path.read_bytes(), content_type="application/yaml; charset=utf-8")


class DocsView(SpectacularSwaggerView):
    """The description as a page to try it out."""

    url_name = "api:schema"
    authentication_classes = []
    permission_classes = [AllowAny]
