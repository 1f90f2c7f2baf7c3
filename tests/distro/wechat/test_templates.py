from __future__ import annotations

import pytest

from distro.wechat.templates import fit_values


@pytest.mark.parametrize(
    ("key", "value", "sent"),
    [
        ("thing1", "二十个字以内的商品名", "二十个字以内的商品名"),
        ("thing2", "长" * 21, "长" * 19 + "…"),
        ("thing10", "两行\n文字", "两行 文字"),
        ("phrase3", " 审核已经通过", "审核已经通"),
        ("character_string4", "A" * 40, "A" * 32),
        ("name5", "欧" * 12, "欧" * 10),
        ("name5", "Bartholomew Featherstone", "Bartholomew Feathers"),
        ("symbol6", "!!!!!!", "!!!!!"),
        ("amount7", "¥1234567890123.45", "¥1234567890123.45"),
        ("number8", "1" * 40, "1" * 40),
        ("time9", "2026年10月1日 15:01", "2026年10月1日 15:01"),
    ],
)
def test_a_value_fits_its_type_or_keeps_its_meaning(key, value, sent):
    assert fit_values({key: value}) == {key: sent}
