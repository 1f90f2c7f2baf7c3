"""A staff member in the admin: a real session with its CSRF tokens, pages and buttons."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import requests

from distro.demo_staff import demo_staff
from distro.journey.client import TIMEOUT, Failed

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass
class Desk:
    """One role's browser; it logs in with the known log-in of a demo when first needed."""

    base: str
    role: str
    tell: Callable[[str], None]
    session: requests.Session = field(default_factory=requests.Session)
    logged_in: bool = False

    def __post_init__(self) -> None:
        self.session.trust_env = False

    def press(self, page: str, search: str, button: str, **answers: str) -> None:
        """Find the one row of a page by its search field and press a button of it.

        page: "orders/order". A button's dialog may ask for answers; a name that ends in "_" is
        filled in for every field that continues it with a number.
        """
        self._log_in()
        row = self._find(page, search)
        path = f"/admin/{page}/{row}/{button}/"
        dialog = self._open("GET", path)
        data = {"_form_submitted": "on"}
        for name, text in answers.items():
            data |= dict.fromkeys(fields_of(dialog.text, name), text)
        answer = self._open("POST", path, {**data, "csrfmiddlewaretoken": self._csrf(dialog)})
        done = answer.status_code in (301, 302) or "HX-Redirect" in answer.headers
        self.tell(f"  [{self.role}] POST {path} -> {answer.status_code}")
        if not done:
            raise Failed(f"the {self.role} could not {button} {page} {search}")

    def _log_in(self) -> None:
        if self.logged_in:
            return
        one = demo_staff(self.role)
        page = self._open("GET", "/admin/login/")
        data = {"username": one.username, "password": one.password, "next": "/admin/"}
        data["csrfmiddlewaretoken"] = self._csrf(page)
        answer = self._open("POST", "/admin/login/", data)
        self.tell(f"  [{self.role}] POST /admin/login/ -> {answer.status_code}")
        if answer.status_code != requests.codes.found:
            raise Failed(f"the demo's {self.role} cannot log in: is it `manage.py demo`?")
        self.logged_in = True

    def _find(self, page: str, search: str) -> str:
        """Return the id of the newest row that a search finds."""
        found = self._open("GET", f"/admin/{page}/", params={"q": search})
        rows: list[str] = re.findall(rf"/admin/{page}/(\d+)/change/", found.text)
        if not rows:
            raise Failed(f"/admin/{page}/?q={search} shows no row")
        return rows[0]

    def _csrf(self, page: requests.Response) -> str:
        """Return the token of a page, else that of the session."""
        found = TOKEN.search(page.text)
        return found.group(1) if found else str(self.session.cookies.get("csrftoken", ""))

    def _open(
        self,
        method: str,
        path: str,
        data: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
    ) -> requests.Response:
        url = self.base + path
        try:
            answer = self.session.request(
                method, url, data=data, params=params, timeout=TIMEOUT, allow_redirects=False,
                headers={"Referer": url},
            )  # fmt: skip
        except requests.RequestException as error:
            raise Failed(f"{method} {path}: no answer ({type(error).__name__})") from None
        if answer.status_code >= requests.codes.bad_request:
            raise Failed(f"[{self.role}] {method} {path}: {answer.status_code}")
        return answer


def fields_of(html: str, name: str) -> list[str]:
    """Return the form fields a name stands for: itself, or, for "amount_", all like amount_7."""
    if not name.endswith("_"):
        return [name]
    return sorted(set(re.findall(rf'name="({re.escape(name)}\d+)"', html)))
