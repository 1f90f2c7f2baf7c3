"""Staff see and write yuan and percent; fen and basis points stay inside."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation

from distro.admin_actors import names_of
from distro.admin_base import parse_day
from distro.admin_columns import (
    PercentField,
    YuanField,
    amount_column,
    masked_address,
    unit_label,
    yuan_text,
)
from distro.money import FEN_MAX
from orders.models import Sku
from tests.analytics.admin_world import make_staff
from tests.factories import make_member


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (0, "0.00"),
        (5, "0.05"),
        (-5, "-0.05"),
        (123_456_789, "1,234,567.89"),
        (-123_456, "-1,234.56"),
        (None, "–"),
    ],
)
def test_fen_are_written_as_yuan(fen, text):
    assert yuan_text(fen) == text


@pytest.mark.parametrize(
    ("typed", "fen"), [("12.34", 1234), ("12", 1200), ("0", 0), (" 7.5 ", 750), ("", None)]
)
def test_yuan_are_read_as_fen(typed, fen):
    field = YuanField(required=False)
    assert field.clean(typed) == fen
    assert not field.has_changed(fen, typed)


@pytest.mark.parametrize("typed", ["-1", "1.234", "1,000", "一", "1e3", "100000000.01"])
def test_what_is_no_amount_is_refused(typed):
    with pytest.raises(ValidationError):
        YuanField().clean(typed)


def test_the_largest_amount_is_accepted():
    assert YuanField().clean("100000000") == FEN_MAX


@pytest.mark.parametrize(("typed", "bps"), [("12.5", 1250), ("100", 10_000), ("10 %", 1000)])
def test_percent_are_read_as_basis_points(typed, bps):
    assert PercentField().clean(typed) == bps


def test_more_than_everything_is_refused():
    with pytest.raises(ValidationError):
        PercentField().clean("100.01")


def test_what_was_typed_wrong_is_shown_again_as_typed():
    assert YuanField().prepare_value("abc") == "abc"
    assert YuanField().prepare_value(1234) == "12.34"


@pytest.mark.parametrize(("language", "label"), [("zh-hans", "价格（元）"), ("en", "price (yuan)")])
def test_a_column_is_named_in_the_readers_language_with_the_unit_it_shows(language, label):
    column = amount_column(Sku, "price_fen")
    with translation.override(language):
        assert str(column.short_description) == label
        assert unit_label(Sku._meta.get_field("price_fen").verbose_name) == label


def test_an_address_is_shown_without_its_door():
    assert masked_address("北京市海淀区中关村大街1号") == "北京市海淀区****"


@pytest.mark.parametrize("text", ["", None, "1997-13-01", "yesterday", "1997-1-1; DROP"])
def test_what_is_no_day_is_none(text):
    assert parse_day(text) is None


@pytest.mark.django_db
def test_actors_are_named_with_one_query_a_kind(django_assert_num_queries):
    staff = [make_staff(first_name="小", last_name="张"), make_staff()]
    member = make_member(nickname="欧阳明日")
    actors = [f"staff:{user.pk}" for user in staff] + [f"member:{member.pk}", "system:0", ""]
    with django_assert_num_queries(2):
        names = names_of(actors)
    assert names[actors[0]] == staff[0].get_full_name()
    assert names[actors[1]] == staff[1].username
    assert names[actors[2]] == f"欧** {member.no}"
    assert names["system:0"] == "系统"
