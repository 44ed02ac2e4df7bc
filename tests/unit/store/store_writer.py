"""Processes to be killed. For each path on stdin one child is forked; it writes turns for ever.

On stdout: `child PID`, then a line for each write once its call has returned, then `end` when the child is dead.
With the argument `pause` the child writes until its first journalled text and then waits for its death.
"""

import asyncio
import os
import sys
from pathlib import Path

from app.domain.conversation import ReplyState, Role, UserMessage
from app.store.store import Store


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def write(path: Path, *, pause: bool) -> None:
    store = await Store.open(path)
    conversation, message = await store.start_conversation("t", UserMessage("begin"))
    say("begun", conversation.id, message.id)
    while True:
        message = await store.add_message(conversation.id, message.id, Role.USER, "question")
        say("asked", message.id)
        message = await store.add_message(conversation.id, message.id, Role.ASSISTANT, "", ReplyState.STREAMING)
        text = ""
        for _ in range(6):
            text += "word " * 50
            await store.journal_reply(message.id, text)
            say("journal", message.id, len(text))
            if pause:
                await asyncio.Event().wait()
        await store.finish_reply(message.id, text, ReplyState.DONE, None)
        say("done", message.id, len(text))


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        asyncio.run(write(Path(line.rstrip("\n")), pause="pause" in sys.argv))
    say("child", child)
    os.waitpid(child, 0)
    say("end")
