"""Income tax and VAT on what a person is paid, in fen: pure arithmetic, no rows.

Income tax is "labour, by the month": all payouts of one calendar month (Beijing) to one person
are one income; each payout bears the tax on the whole so far less what was withheld already.
Source: announcement 61/2018 of the State Taxation Administration, tax law art. 6 and its rules
art. 14. VAT: announcement 10/2026 (no rule that withholds it is in use yet).
"""

from __future__ import annotations

FREE_FEN = 80_000  # deducted up to the next line; above it a fifth is
FLAT_UP_TO_FEN = 400_000
NO_END = 10**15  # fen
# (taxable income up to, rate in tenths, quick deduction), in fen.
BANDS = ((2_000_000, 2, 0), (5_000_000, 3, 200_000), (NO_END, 4, 700_000))
BPS = 10_000
# Net up to -> (what is added, what a gross of 100 leaves of each further fen), in fen.
GROSS_UP = (
    (80_000, 0, 100),
    (336_000, -16_000, 80),
    (2_100_000, 0, 84),
    (4_950_000, -200_000, 76),
    (NO_END, -700_000, 68),
)


def tax_of(gross_fen: int) -> int:
    """Return the income tax on the gross of one person and month; half a fen rounds up."""
    assert gross_fen >= 0
    flat = gross_fen <= FLAT_UP_TO_FEN
    fifths = 5 * max(0, gross_fen - FREE_FEN) if flat else 4 * gross_fen  # of a fen, taxable
    tenths, quick = next(band[1:] for band in BANDS if fifths <= 5 * band[0])
    return _half_up(fifths * tenths - 50 * quick, 50)


def next_tax(*, paid_fen: int, withheld_fen: int, gross_fen: int) -> int:
    """Return the tax on the next payout of the month, never below 0.

    paid_fen, withheld_fen: gross and tax of the payouts that succeeded in the month.
    """
    assert paid_fen >= 0 and withheld_fen >= 0 and gross_fen >= 0
    return max(0, tax_of(paid_fen + gross_fen) - withheld_fen)


def gross_up(net_fen: int) -> int:
    """Return the gross of a month that leaves this net; the smallest one if two do."""
    assert net_fen >= 0
    added, percent = next(line[1:] for line in GROSS_UP if net_fen <= line[0])
    gross = _half_up(100 * (net_fen + added), percent)
    while gross - tax_of(gross) < net_fen:  # the tax was rounded up by a fen
        gross += 1
    while gross and gross - 1 - tax_of(gross - 1) >= net_fen:
        gross -= 1
    return gross


def vat_of(inclusive_fen: int, *, threshold_fen: int, rate_bps: int) -> int:
    """Return the VAT inside a sum, 0 where the sum without VAT is below the threshold.

    inclusive_fen: of one time or one month, as the rule says; from the threshold on all of it
    is taxed.
    """
    assert inclusive_fen >= 0 and threshold_fen >= 0 and rate_bps >= 0
    with_tax = BPS + rate_bps
    if inclusive_fen * BPS < threshold_fen * with_tax:
        return 0
    return _half_up(inclusive_fen * rate_bps, with_tax)


def _half_up(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest whole number, halves up."""
    return (2 * numerator + denominator) // (2 * denominator)
