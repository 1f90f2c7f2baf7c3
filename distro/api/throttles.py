"""How often one caller may ask; money limits are in the database, this only spares the server."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import ScopedRateThrottle

from distro.crypto import blind_index


class ActorThrottle(ScopedRateThrottle):
    """Count requests by actor, or by address where nobody is signed in.

    The scope is the view's `throttle_scope`, else "read" or "write" by the method.
    """

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count one request; say whether it may go on."""
        by_method = "read" if request.method in SAFE_METHODS else "write"
        self.scope = getattr(view, "throttle_scope", None) or by_method
        self.rate = self.get_rate()
        self.num_requests, self.duration = self.parse_rate(self.rate)
        return super(ScopedRateThrottle, self).allow_request(request, view)

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Return where the count is kept; no address stands in the cache."""
        actor = getattr(request.user, "actor", None)
        ident = str(actor) if actor else blind_index("ip", self.get_ident(request) or "unknown")
        return self.cache_format % {"scope": self.scope, "ident": ident}
