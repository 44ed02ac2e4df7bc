"""A worker that floods the chat: keys still work, Esc ends it, and the next message is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.client.connection import Graces
from app.client.worker_client import WorkerClient
from app.domain.conversation import ReplyState, UserMessage
from tests.fakes.chat_app import make_app, ready, until
from tests.fakes.fake_worker import fake_worker


def flooding(tmp_path: Path, place: str) -> WorkerClient:
    argv = fake_worker("--fault", f"{place}:flood", "--after", "2", "--once", str(tmp_path / "once"))
    return WorkerClient(tmp_path / "engine.log", argv=argv, graces=Graces(abort_s=0.3))


@pytest.mark.parametrize("place", ["token", "prefill"])
async def test_a_flood_ends_in_words_and_the_next_message_is_answered(tmp_path: Path, place: str) -> None:
    app = make_app(tmp_path, flooding(tmp_path, place))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("go"))
        await until(lambda: (tmp_path / "once").exists())
        await pilot.press(*"more")
        await until(lambda: chat.composer.text == "more")
        await until(lambda: not chat.chat.running, 60)
        branch = chat.chat.session.branch
        assert branch[-1].state is ReplyState.INTERRUPTED
        assert branch[-1].generation is not None
        assert branch[-1].generation.error == "broke the protocol: more events than the request allows"
        await pilot.press("enter")
        await until(lambda: len(chat.chat.session.branch) == 4 and not chat.chat.running)
        assert chat.chat.session.branch[-1].content == " 0 1 2 3 4"


async def test_esc_ends_a_flood(tmp_path: Path) -> None:
    app = make_app(tmp_path, flooding(tmp_path, "token"))
    async with app.run_test(size=(80, 24)) as pilot:
        chat = await ready(app)
        chat.chat.submit(UserMessage("go"))
        await until(lambda: (tmp_path / "once").exists())
        await pilot.press("escape")
        await until(lambda: not chat.chat.running, 60)
        reply = chat.chat.session.branch[-1]
        assert reply.state in (ReplyState.STOPPED, ReplyState.INTERRUPTED)
        assert reply.content.startswith(" 0 1")
