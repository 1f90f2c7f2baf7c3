"""Writes: placing, paying, refunding, shipping."""
