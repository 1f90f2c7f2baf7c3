"""The statements that write the promoter tree, one set at a time.

Joining writes one row and takes one shared row lock. Placing, relabelling and moving run one at a
time under the tree's advisory lock. A join beside them waits for the row it copies from, if that is
being written; labels of those who joined a moment earlier are set right before the commit.
"""

from referrals.bulk.joining import Root, attach, attach_roots
from referrals.bulk.moving import move
from referrals.bulk.placing import place_pending
from referrals.bulk.relabelling import rebuild_labels

__all__ = ["Root", "attach", "attach_roots", "move", "place_pending", "rebuild_labels"]
