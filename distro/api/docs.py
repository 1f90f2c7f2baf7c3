"""The API's description: the committed file, and Swagger UI over it from local files.

The schema is not generated per request: the generator is not safe for threads.
"""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpResponse
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView


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
