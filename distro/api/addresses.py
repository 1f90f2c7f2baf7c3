"""Addresses that nothing can have."""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponseBase

from distro.api.errors import page_not_found


class PlainAddressMiddleware:
    """Answer 404 to an address with a NUL, which PostgreSQL takes in no text.

    Stands behind the languages, since it answers in them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Let every other request pass."""
        if "\0" in request.path_info:
            return page_not_found(request, Http404())
        return self.get_response(request)
