"""Rows of bare numbers: with every digit read as 0, the last column is a searchable word."""

from __future__ import annotations

DIGITS = bytes.maketrans(b"123456789", b"000000000")
# "%7.5f", the learning rate, below 10 and above.
LAST_COLUMN = b" 0.00000"
LAST_COLUMN_WIDE = b" 00.00000"
VALUE = r"(?:-?\d+\.\d{3}|-?nan|-?inf)"  # "%6.3f", a loss
