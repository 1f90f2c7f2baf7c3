"""The facts of this package. Each is told once, inside the transaction that makes it true."""

from __future__ import annotations

from distro.facts import Fact

# A member logged in for the first time; sent by login(). Or an import made him: ensure_members()
# sends it when asked to. Arguments: member_id.
member_joined = Fact("member_joined")

# A customer got a new open binding. Sent by login(), touch(), open_link() and bind_by_staff(), not
# by imports. Arguments: member_id, promoter_id, binding_id.
member_bound = Fact("member_bound")

# An open binding ended: expired (also by the job expire_bindings()), rebound or by staff.
# Arguments: member_id, promoter_id, binding_id.
binding_ended = Fact("binding_ended")

# A member became a promoter. Sent by approve_application(), not by imports.
# Arguments: promoter_id, member_id.
promoter_approved = Fact("promoter_approved")

# A promoter's status or holds changed. Sent by suspend_promoter(), reinstate_promoter(),
# open_hold() and lift_hold(). Arguments: promoter_id.
promoter_changed = Fact("promoter_changed")
