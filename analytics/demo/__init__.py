"""The demo shop: invented people and a past, lived through the real services day by day."""
