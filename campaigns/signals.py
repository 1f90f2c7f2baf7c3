"""The facts of this package. Each is told once, inside the transaction that makes it true."""

from __future__ import annotations

from distro.facts import Fact

# A participant got a reward. Sent by grant_rewards() once per reward.
# Arguments: reward_id, member_id.
reward_earned = Fact("reward_earned")
