"""How the admin looks: its own few rules on top of unfold's."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static

BLUE = {  # Tailwind's blue; 600 on white and white on 600 pass WCAG AA
    "50": "oklch(97% .014 254.604)",
    "100": "oklch(93.2% .032 255.585)",
    "200": "oklch(88.2% .059 254.128)",
    "300": "oklch(80.9% .105 251.813)",
    "400": "oklch(70.7% .165 254.624)",
    "500": "oklch(62.3% .214 259.815)",
    "600": "oklch(54.6% .245 262.881)",
    "700": "oklch(48.8% .243 264.376)",
    "800": "oklch(42.4% .199 265.638)",
    "900": "oklch(37.9% .146 265.522)",
    "950": "oklch(28.2% .091 267.935)",
}


def stylesheet(request: HttpRequest) -> str:
    """Return the address of the style sheet."""
    return static("distro/admin.css")


def favicon(request: HttpRequest) -> str:
    """Return the address of the picture in the browser's tab."""
    return static("distro/favicon.svg")


def primary(*args: Any) -> dict[str, str]:
    """Return the colour of links and buttons."""
    return dict(BLUE)
