"""The facts of this package. Each is told once, inside the transaction that makes it true."""

from __future__ import annotations

from distro.facts import Fact

# A member logged in for the first time, or an import made him. Sent by login() and
# create_imported_member(). Arguments: member_id.
member_joined = Fact("member_joined")

# A customer got a new open binding. Sent by bind(). Arguments: member_id, promoter_id, binding_id.
member_bound = Fact("member_bound")

# An open binding ended (expired, rebound, by staff). Arguments: member_id, promoter_id, binding_id.
binding_ended = Fact("binding_ended")

# A member became a promoter. Sent by approve_promoter(). Arguments: promoter_id, member_id.
promoter_approved = Fact("promoter_approved")

# A promoter's status, grade or upline changed. Arguments: promoter_id.
promoter_changed = Fact("promoter_changed")
