"""The conversations that are kept: an async face of one SQLite connection on one thread of its own.

Knows no rule of a chat. Several instances may have the same file open; each write is one short transaction that is on
the disk when its call returns. Every method raises StoreError and nothing else; a later call may work again.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from app.domain.conversation import (
    Attachments,
    ChatSettings,
    Conversation,
    ConversationKind,
    GenerationRecord,
    Message,
    ReplyState,
    Role,
    UserMessage,
)
from app.domain.errors import StoreError
from app.domain.generation import Thinking
from app.domain.sampling import SamplingParams
from app.domain.text import one_line
from app.domain.trace import ReplyTrace
from app.store import conversations, drafts, messages, traces
from app.store.archive import ConversationArchive
from app.store.database import Database
from app.store.files import delete_backups
from app.store.thread import StoreThread
from app.store.traces import pack, unpack

UNDO_MS = 24 * 3_600_000
"""How long a deleted conversation can be restored; after that it is purged at the next start or end of the program."""


class Store:
    """Opened by its first call, and by each later one as long as that fails; `open` and `in_memory` open it at once.

    Attributes:
        path: None in memory.
        archive: whole conversations, for export, import and search.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._thread = StoreThread(path)
        self.archive = ConversationArchive(self._thread)

    @classmethod
    async def open(cls, path: Path) -> Store:
        """Opens the database, creating it (0600) and its folder (0700) if need be.

        Replies that a dead instance left STREAMING become INTERRUPTED. A damaged file is set aside, and one that cannot
        be written is opened for reading, see `take_notices`.
        """
        store = cls(path)
        await store._thread.open()
        return store

    @classmethod
    async def in_memory(cls) -> Store:
        """A store that is gone with the process."""
        store = cls(None)
        await store._thread.open()
        return store

    async def close(self) -> None:
        """Ends it after what is under way. Idempotent."""
        await self._thread.close()

    def take_notices(self) -> tuple[str, ...]:
        """Returns what the user should know about the last opening, once: such as a damaged file that was set aside."""
        taken, self._thread.notices = self._thread.notices, ()
        return taken

    async def check(self) -> None:
        """Raises StoreError where nothing can be written now; waits a moment at most."""
        await self._thread.write(lambda _, __: None, quick=True)

    async def changed(self) -> bool:
        """Whether another connection has written since the last call; waits a moment at most."""
        return await self._thread.changed()

    async def end_dead_replies(self) -> None:
        """Makes STREAMING replies of instances that died INTERRUPTED."""
        await self._thread.use(Database.end_dead_replies)

    async def create_conversation(
        self,
        title: str,
        kind: ConversationKind = ConversationKind.CHAT,
        settings: ChatSettings | None = None,
    ) -> Conversation:
        """A new conversation without messages."""

        def work(connection: apsw.Connection, _: Database) -> Conversation:
            return conversations.get(connection, conversations.create(connection, _title(title), kind, settings))

        return await self._thread.write(work)

    async def start_conversation(
        self,
        title: str,
        asked: UserMessage,
        kind: ConversationKind = ConversationKind.CHAT,
        settings: ChatSettings | None = None,
    ) -> tuple[Conversation, Message]:
        """A new conversation with the user's first message, both or neither."""

        def work(connection: apsw.Connection, database: Database) -> tuple[Conversation, Message]:
            conversation_id = conversations.create(connection, _title(title), kind, settings)
            draft = messages.new(conversation_id, None, Role.USER, asked.text, ReplyState.DONE, asked.attachments)
            message = messages.add(connection, draft, database.owner)
            conversations.touch(connection, conversation_id, message.id)
            if kind is ConversationKind.ASK:
                conversations.continue_as(connection, conversation_id, kind)
            return conversations.get(connection, conversation_id), message

        return await self._thread.write(work)

    async def conversation(self, conversation_id: int) -> Conversation:
        """One that is not deleted."""
        return await self._thread.read(lambda connection: conversations.get(connection, conversation_id))

    async def look_up(self, conversation_id: int) -> Conversation | None:
        """One, deleted or not; None if there is none."""
        return await self._thread.read(lambda connection: conversations.look_up(connection, conversation_id))

    async def last_conversation(self, kind: ConversationKind | None = None) -> Conversation | None:
        """The one that was written to last, or the one that the chat or `tok ask` continues: see `last_id`."""

        def work(connection: apsw.Connection) -> Conversation | None:
            found = conversations.last_id(connection, kind)
            return None if found is None else conversations.get(connection, found)

        return await self._thread.read(work)

    async def conversations(
        self, query: str = "", limit: int = 500, kind: ConversationKind | None = None
    ) -> list[Conversation]:
        """Newest first, all or those of a kind; with a query those that hold each of its words in the title or in one
        message."""
        return await self._thread.read(lambda connection: conversations.find(connection, query, limit, kind))

    async def keep_settings(self, conversation_id: int, settings: ChatSettings) -> None:
        """Keeps what answers a conversation from now on."""
        await self._thread.write(
            lambda connection, _: conversations.keep_settings(connection, conversation_id, settings)
        )

    async def continue_as(self, conversation_id: int, kind: ConversationKind) -> None:
        """Records that the chat or `tok ask` continues a conversation."""
        await self._thread.write(lambda connection, _: conversations.continue_as(connection, conversation_id, kind))

    async def rename(self, conversation_id: int, title: str) -> None:
        """Gives it another title."""
        await self._change(conversation_id, "title", _title(title))

    async def delete(self, conversation_id: int) -> None:
        """Hides it; `restore` brings it back, `purge` removes it."""
        now = conversations.now_ms()
        await self._change(conversation_id, "deleted_ms", now)

    async def deleted(self, *, expired: bool = False) -> list[Conversation]:
        """Returns conversations that are deleted, not purged, last deleted first; `expired`: UNDO_MS ago or earlier."""
        before_ms = conversations.now_ms() - UNDO_MS if expired else None
        return await self._thread.read(lambda connection: conversations.deleted(connection, before_ms))

    async def restore(self, conversation_id: int) -> None:
        """Undoes `delete`."""
        await self._change(conversation_id, "deleted_ms", None)

    async def purge(self, *conversation_ids: int) -> None:
        """Removes them for good: from the tables, the index, the log and the copies made before migrations.

        Drafts of instances that have ended go too if they hold a message. While another instance reads, the log keeps
        old pages until the last instance has closed.
        """

        def work(connection: apsw.Connection, database: Database) -> None:
            live = {database.owner, *database.live()}
            for conversation_id in conversation_ids:
                drafts.forget(connection, conversation_id, live)
                conversations.remove(connection, conversation_id)

        # The copies first: where this is cut short, it begins anew as long as the rows are there.
        await self._thread.call(lambda: delete_backups(self.path))
        await self._thread.write(work)
        await self._thread.use(Database.empty_log)

    async def set_tip(self, conversation_id: int, message_id: int) -> None:
        """Shows the branch that ends in this message."""
        await self._thread.write(lambda connection, _: conversations.touch(connection, conversation_id, message_id))

    async def add_message(
        self,
        conversation_id: int,
        parent_id: int | None,
        role: Role,
        content: str,
        state: ReplyState = ReplyState.DONE,
        attachments: Attachments = (),
    ) -> Message:
        """A new message, which becomes the tip; on the disk when this returns."""

        def work(connection: apsw.Connection, database: Database) -> Message:
            draft = messages.new(conversation_id, parent_id, role, content, state, attachments)
            message = messages.add(connection, draft, database.owner)
            conversations.touch(connection, conversation_id, message.id)
            return message

        return await self._thread.write(work)

    async def journal_reply(self, message_id: int, content: str, thinking: Thinking | None = None) -> None:
        """The text so far of a STREAMING reply."""
        await self._thread.write(
            lambda connection, _: messages.set_streaming_content(connection, message_id, content, thinking)
        )

    async def finish_reply(
        self,
        message_id: int,
        content: str,
        state: ReplyState,
        generation: GenerationRecord | None,
        sampling: SamplingParams | None = None,
        thinking: Thinking | None = None,
    ) -> Message:
        """The last text and state of a STREAMING reply, and what is known of its generation."""

        def work(connection: apsw.Connection, _: Database) -> Message:
            messages.finish(connection, message_id, content, state, thinking)
            if generation:
                messages.add_generation(connection, message_id, generation, sampling)
            return messages.get(connection, message_id)

        return await self._thread.write(work)

    async def withdraw(self, message_id: int) -> bool:
        """Removes a message that nothing answers, and a conversation that has no other; False where that is not so."""
        return await self._thread.write(lambda connection, _: messages.withdraw(connection, message_id))

    async def branch(self, conversation_id: int) -> list[Message]:
        """The messages shown: from the root to the tip."""
        return await self._thread.read(lambda connection: messages.branch(connection, conversation_id))

    async def messages(self, conversation_id: int) -> list[Message]:
        """All of a conversation's messages, whatever their branch; oldest first."""
        return await self._thread.read(lambda connection: messages.of(connection, conversation_id))

    async def message(self, message_id: int) -> Message:
        """One message, of whatever conversation."""
        return await self._thread.read(lambda connection: messages.get(connection, message_id))

    async def keep_draft(self, text: str) -> None:
        """Stores what is written here and not sent, in place of what was stored of it before."""

        def work(connection: apsw.Connection, database: Database) -> None:
            drafts.keep(connection, database.owner, text)

        await self._thread.write(work)

    async def take_drafts(self) -> str:
        """Returns what instances that have ended had not sent, once; never what a running one holds."""
        return await self._thread.write(
            lambda connection, database: drafts.take(connection, database.owner, database.live())
        )

    async def save_trace(self, message_id: int, trace: ReplyTrace) -> None:
        """Stores the trace of a reply in place of an older one."""
        data = await self._thread.call(lambda: pack(trace))
        await self._thread.write(lambda connection, _: traces.save(connection, message_id, len(trace.tokens), data))

    async def trace(self, message_id: int) -> ReplyTrace | None:
        """The trace of a reply; None if it is not stored, damaged, or written by a newer tokscope."""
        row = await self._thread.read(lambda connection: traces.load(connection, message_id))
        return await self._thread.call(lambda: unpack(*row)) if row else None

    async def trace_bytes(self, conversation_id: int) -> int:
        """What a conversation's traces take, all branches together."""
        return await self._thread.read(lambda connection: traces.n_bytes(connection, conversation_id))

    async def trim_traces(self, max_bytes: int) -> None:
        """Removes the oldest traces, whatever their conversation, until `max_bytes` hold the rest."""
        await self._thread.write(lambda connection, _: traces.trim(connection, max_bytes))

    @property
    def read_only(self) -> StoreError | None:
        """Why conversations can be read, and nothing can be saved; None where it can, and before the first call."""
        return self._thread.database.read_only if self._thread.database else None

    async def _change(self, conversation_id: int, column: str, value: str | int | None) -> None:
        await self._thread.write(lambda connection, _: conversations.change(connection, conversation_id, column, value))


def _title(text: str) -> str:
    return one_line(text) or "New conversation"
