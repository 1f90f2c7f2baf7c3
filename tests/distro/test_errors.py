from __future__ import annotations

import pickle

import pytest
from django.db import IntegrityError
from django.utils import translation

from distro.errors import AmountOutOfRange, DomainError, IllegalTransition, NotFound, brief


def test_a_refusal_speaks_with_its_params():
    error = IllegalTransition(row="order 7", from_status="paid", to_status="placed")
    with translation.override("en"):
        assert str(error) == "order 7 cannot go from paid to placed."


def test_a_refusal_without_params_may_hold_a_percent_sign():
    class Full(DomainError):
        message = "100 % used"

    assert str(Full()) == "100 % used"


def test_a_refusal_survives_the_way_to_a_worker():
    error = AmountOutOfRange(field="price_fen", minimum=1, maximum=2)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.code, copy.field, copy.params) == (error.code, error.field, error.params)


def test_codes_are_told_apart():
    found = [DomainError, *DomainError.__subclasses__()]
    codes = [error.code for error in found if error.__module__.startswith("distro.")]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NotFound(), "NotFound: not_found"),
        (ValueError(), "ValueError"),
        (ValueError("phone 13812345678 of 3"), "ValueError: phone # of 3"),
        (
            IntegrityError('breaks "one"\nDETAIL: Key (phone)=(secret)'),
            'IntegrityError: breaks "…"',
        ),
        (ValueError("invalid literal: '张三'"), "ValueError: invalid literal: '…'"),
        (ValueError("x" * 500), "ValueError: " + "x" * 188),
    ],
)
def test_brief_says_what_happened_and_names_nobody(error, text):
    assert brief(error) == text
