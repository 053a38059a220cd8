"""Reading a post."""

from __future__ import annotations

from dataclasses import dataclass

from postbreeze.domain.access import READERS
from postbreeze.domain.documents import post_document
from postbreeze.operations import gate
from postbreeze.operations.answers import Answer
from postbreeze.operations.ports import Clock, Directory, PostStore, Together


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPost:
    """Reads a post for any member of its workspace."""

    posts: PostStore
    directory: Directory
    together: Together
    clock: Clock

    def __call__(self, key_digest: str, post_id: str) -> Answer:
        """Answer with the post as it stands.

        Raises:
            RefusalError: Not allowed or not there.
            UnavailableError: The database did not answer.
        """
        key, post = self.together.run(
            lambda: self.directory.admit(key_digest), lambda: self.posts.read(post_id)
        )
        key = gate.usable(key, self.clock.now())
        post = gate.visible(post, key)
        gate.permitted(self.directory.member(post.workspace_id, key.owner_user_id), READERS)
        return Answer(status=200, body=post_document(post))
