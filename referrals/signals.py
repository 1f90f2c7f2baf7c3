"""The facts of this package. Each is told once, inside the transaction that makes it true."""

from __future__ import annotations

from distro.facts import Fact

# A member logged in for the first time; sent by login(). Or an import made him: ensure_members()
# sends it when asked to. Arguments: member_id.
member_joined = Fact("member_joined")

# A customer got a new open binding. Sent by login(), touch(), open_link(), bind_by_staff() and
# where a merge carries one over, not by imports. Arguments: member_id, promoter_id, binding_id.
member_bound = Fact("member_bound")

# Two accounts of one person became one: everything of member_id leads to survivor_id from now on.
# Once a merged account, by log-in or by approve_merge(). Arguments: member_id, survivor_id.
members_merged = Fact("members_merged")

# An open binding ended: expired (also by the job expire_bindings()), rebound, by staff, or because
# an account was closed or merged. Arguments: member_id, promoter_id, binding_id.
binding_ended = Fact("binding_ended")

# A member became a promoter. Sent by approve_application(), not by imports.
# Arguments: promoter_id, member_id.
promoter_approved = Fact("promoter_approved")

# A promoter's status, grade, upline or holds changed. Sent by suspend_promoter(),
# reinstate_promoter(), set_grade(), approve_move(), open_hold(), lift_hold(), and when a closing
# begins, is taken back or is done. Arguments: promoter_id.
promoter_changed = Fact("promoter_changed")
