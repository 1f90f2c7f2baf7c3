"""The evidence file of one customer: everything that happened to him, the oldest first.

UTF-8 with BOM, CRLF, RFC 4180. The last line says what the file is and holds the SHA-256 of all
bytes before it, so that a changed file gives itself away; the audit trail keeps the same hash.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import translation

from distro import audit
from distro.actors import Actor
from distro.clock import BEIJING
from distro.csvfiles import cell
from referrals.errors import ReasonMissing
from referrals.explanations import masked_name
from referrals.models import Member, Promoter
from referrals.selectors_timeline import Moment, all_moments

SCHEMA = "customer_timeline/1"
BOM = b"\xef\xbb\xbf"
NEW_LINE = b"\r\n"
LANGUAGE = "zh-hans"  # of the whole file, whoever makes it
TITLES = [
    "序号", "时间（北京时间）", "事件", "推广员编号", "推广员姓名", "分享码", "渠道", "操作者",
    "理由", "说明", "绑定编号", "订单号",
]  # fmt: skip
END = "以上内容的SHA-256"


@dataclass(frozen=True)
class Request:
    """Who wants the file, why, and whether he may read names."""

    by: Actor
    maker: str
    reason: str
    clear: bool
    at: datetime


def write_timeline(
    member: Member, *, request: Request, write: Callable[[bytes], object]
) -> dict[str, Any]:
    """Write the file in constant memory, leave an audit entry and return it as a manifest.

    Raises ReasonMissing.
    """
    if not request.reason.strip():
        raise ReasonMissing(field="reason")
    digest, rows = hashlib.sha256(), -1  # the titles are no row
    with translation.override(LANGUAGE):
        for piece in _lines(member, request):
            digest.update(piece)
            write(piece)
            rows += 1
        write(_line([END, digest.hexdigest(), *_footer(member, request, rows)]))
    manifest = {
        "schema": SCHEMA,
        "rows": rows,
        "names": "clear" if request.clear else "masked",
        "sha256": digest.hexdigest(),
    }
    audit.record(
        by=request.by,
        action="timeline.export",
        target=member,
        reason=request.reason,
        detail=manifest,
        at=request.at,
    )
    return manifest


def is_unchanged(data: bytes) -> bool:
    """Say whether a file is as it was made: its last line holds the hash of what is before."""
    digest, mark = hashlib.sha256(), f"{END},".encode()
    first, *others = data.split(NEW_LINE + mark)  # a reason may hold these words too
    digest.update(first)
    for rest in others:
        digest.update(NEW_LINE)
        if rest.startswith(f"{digest.hexdigest()},".encode()):
            return True
        digest.update(mark + rest)
    return False


def _lines(member: Member, request: Request) -> Iterator[bytes]:
    yield BOM + _line(TITLES)
    for number, moment in enumerate(all_moments(member.pk), start=1):
        yield _line([str(number), *_cells(moment, request)])


def _cells(moment: Moment, request: Request) -> list[str]:
    link = moment.link
    return [
        f"{moment.mark.at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}",
        str(moment.title),
        moment.promoter.code if moment.promoter else "",
        _name(moment.promoter, request),
        link.code if link else "",
        link.get_channel_display() if link else "",
        moment.who,
        moment.why,
        str(moment.text),
        str(moment.binding_id or ""),
        moment.ref,
    ]


def _name(promoter: Promoter | None, request: Request) -> str:
    if promoter is None:
        return ""
    clear = promoter.member.nickname if request.clear else ""
    return clear or masked_name(promoter.member)


def _footer(member: Member, request: Request, rows: int) -> list[str]:
    """Say what the file is, in the cells after the hash."""
    name = member.nickname if request.clear and member.nickname else masked_name(member)
    return [
        f"schema={SCHEMA}",
        f"{rows}行",
        f"客户：{member.no} {name}",
        f"截至{request.at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}（北京时间）",
        f"制表：{request.maker}",
        f"理由：{request.reason}",
        "姓名未脱敏" if request.clear else "姓名已脱敏",
    ]


def _line(cells: list[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=NEW_LINE.decode()).writerow([cell(text) for text in cells])
    return buffer.getvalue().encode()
