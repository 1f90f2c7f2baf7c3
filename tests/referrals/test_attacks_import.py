"""Files of relations: faulty rows, circles, who closes or was merged."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from referrals import bulk
from referrals.models import Member, Promoter
from referrals.proofs import tree_faults
from referrals.services.closing import close_promoter
from referrals.services.importing import Totals, import_relations
from tests.factories import AT
from tests.referrals.attack_world import ANNA, merge

pytestmark = pytest.mark.usefixtures("no_money")
HEADER = "member,inviter,promoter,joined_at"
TIME = "2026-01-31 12:00:00"


@pytest.fixture
def bring(tmp_path: Path) -> Callable[..., Totals]:
    def run(*rows: str, encoding: str = "utf-8") -> Totals:
        path = tmp_path / "relations.csv"
        path.write_bytes("\n".join([HEADER, *rows]).encode(encoding))
        totals = import_relations(
            path=path, rejects=tmp_path / "rejects.csv", by=ANNA, at=AT,
            progress=lambda what, count: None,
        )  # fmt: skip
        assert not list(tree_faults())
        return totals

    return run


def member(number: str) -> Member:
    return Member.objects.get(external_no=number)


@pytest.mark.django_db
def test_nobody_is_imported_below_a_promoter_who_is_closing(bring: Any) -> None:
    # accounts.md, closing: "nobody new below him: newcomers become roots".
    bring(f"A,,yes,{TIME}")
    close_promoter(promoter_id=member("A").promoter.pk, reason="r", by=ANNA, at=AT)
    bring(f"A,,yes,{TIME}", f"B,A,yes,{TIME}")
    assert member("B").promoter.parent_id is None


@pytest.mark.django_db
def test_an_import_below_a_merged_member_leads_to_the_account_that_stays(bring: Any) -> None:
    # promoters.parent_of_new: "the promoter his inviter is, by the account that stays".
    bring(f"A,,no,{TIME}", f"C,,yes,{TIME}")
    merge(member("A"), member("C"), AT)
    bring(f"B,A,yes,{TIME}")
    assert member("B").promoter.parent == member("C").promoter


@pytest.mark.django_db
def test_a_faulty_row_beside_a_good_one_counts_the_same_in_any_order(bring: Any) -> None:
    # import.md: "The rows may stand in any order".
    one = bring(f"A,,yes,{TIME}", "A,,yes,yesterday")
    two = bring("B,,yes,yesterday", f"B,,yes,{TIME}")
    assert (one.members, one.rejected) == (two.members, two.rejected)


@pytest.mark.django_db
@pytest.mark.parametrize("places", list(permutations(range(3))))
def test_two_rows_that_differ_keep_out_beside_a_faulty_one_in_any_order(
    bring: Any, places: tuple[int, ...]
) -> None:
    rows = ["A,,yes,yesterday", f"A,,yes,{TIME}", f"A,,no,{TIME}"]
    totals = bring(*(rows[place] for place in places))
    assert (totals.members, totals.rejected) == (0, 3)


@pytest.mark.django_db
def test_one_promoter_no_for_two_counts_the_same_in_any_order(bring: Any) -> None:
    one = bring(f"A,,X1,{TIME}", "A,,X1,yesterday", f"B,,X1,{TIME}")
    two = bring(f"D,,X2,{TIME}", f"C,,X2,{TIME}", "C,,X2,yesterday")
    assert (one.members, one.rejected) == (two.members, two.rejected)


@pytest.mark.django_db
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_circles_lines_and_strange_numbers_leave_a_clean_tree(bring: Any, encoding: str) -> None:
    rows = [
        f"S,S,yes,{TIME}",  # himself
        f"S1,S,yes,{TIME}",
        f"L2,L1,yes,{TIME}", f"L1,L2,yes,{TIME}",
        f"07,,yes,{TIME}", f"7,07,yes,{TIME}", f"{'9' * 64},7,yes,{TIME}",
        f"{'9' * 65},7,yes,{TIME}", f"王,7,是,{TIME}", f"1E+15,7,yes,{TIME}",
        f"x\x00y,7,yes,{TIME}", f"=1+1,7,yes,{TIME}", f"O,gone,yes,{TIME}",
        f"７,7,yes,{TIME}",
    ]  # fmt: skip
    totals = bring(*rows, encoding=encoding)
    assert totals.members == 5
    assert totals.rejected == 9
    assert member("9" * 64).promoter.upline_2 == member("07").promoter
    again = bring(*rows, encoding=encoding)
    assert (again.members, again.known, again.rejected) == (0, 5, 9)


@pytest.mark.django_db
def test_a_changed_row_moves_nobody_and_his_newcomers_come_in_below_his_old_place(
    bring: Any,
) -> None:
    bring(f"A,,yes,{TIME}", f"B,,yes,{TIME}", f"C,A,yes,{TIME}")
    totals = bring(f"A,,yes,{TIME}", f"B,,yes,{TIME}", f"C,B,yes,{TIME}", f"D,C,yes,{TIME}")
    assert (totals.members, totals.rejected) == (1, 1)
    assert member("D").promoter.upline_2 == member("A").promoter


@pytest.mark.django_db
def test_a_circle_through_a_member_who_is_here_is_refused(bring: Any) -> None:
    bring(f"A,,yes,{TIME}", f"B,A,yes,{TIME}")
    totals = bring(f"A,B,yes,{TIME}", f"B,A,yes,{TIME}")
    assert (totals.members, totals.rejected) == (0, 1)
    assert member("A").inviter is None


@pytest.mark.django_db
def test_newcomers_come_in_below_a_pending_promoter_and_are_placed(bring: Any) -> None:
    bring(f"A,,yes,{TIME}")
    bring(f"B,A,yes,{TIME}")
    bring(f"C,B,yes,{TIME}", f"D,C,no,{TIME}", f"E,D,yes,{TIME}")
    assert member("A").promoter.get_descendant_count() == 3
    bulk.place_pending(at=AT)
    assert not Promoter.objects.filter(pending=True).exists()
    assert not list(tree_faults())


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("1970-01-01 00:00:00", "1969-12-31 16:00:00+00:00"),
        ("1988-07-01 12:00:00", "1988-07-01 03:00:00+00:00"),  # summer time
        ("1991-12-31 23:59:59", "1991-12-31 15:59:59+00:00"),
        ("2026-11-02 10:00:00", "2026-11-02 02:00:00+00:00"),  # this very moment
    ],
)
def test_a_moment_of_the_file_is_kept_to_the_second(bring: Any, written: str, utc: str) -> None:
    bring(f"A,,yes,{written}", f"B,A,yes,{written}")
    assert str(member("B").joined_at) == str(member("B").promoter.approved_at) == utc
