"""How an answer came about is kept with it, as the settings say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.config.paths import config_file, database_file
from app.domain.trace import ReplyTrace
from app.store.store import Store
from tests.fakes.scripted_engine import ScriptedEngine
from tests.unit.cli.conftest import Tok

pytestmark = pytest.mark.usefixtures("model")


def kept() -> ReplyTrace | None:
    """The trace of the last answer."""

    async def read() -> ReplyTrace | None:
        store = await Store.open(database_file())
        try:
            (conversation,) = await store.conversations()
            return await store.trace((await store.branch(conversation.id))[-1].id)
        finally:
            await store.close()

    return asyncio.run(read())


@pytest.mark.parametrize(("options", "n_top"), [([], 4), (["--json", "--logprobs", "2"], 2)])
def test_an_answer_is_kept_with_its_alternatives(tok: Tok, options: list[str], n_top: int):
    with config_file().open("a", encoding="utf-8") as file:
        file.write("trace_top_k = 4\n")
    assert tok("ask", "q", *options, engine=ScriptedEngine(["one two"])).code == 0
    trace = kept()
    assert trace is not None
    assert [token.text for token in trace.tokens] == ["one", " two", "<|im_end|>"]
    assert {len(token.top) for token in trace.tokens} == {n_top}


@pytest.mark.parametrize("setting", ["trace = { keep = false }", None])
def test_where_none_is_kept_none_is_asked_for(tok: Tok, setting: str | None):
    with config_file().open("a", encoding="utf-8") as file:
        file.write(f"{setting or ''}\n")
    engine = ScriptedEngine(["one two"])
    assert tok("ask", "q", *([] if setting else ["--no-save"]), engine=engine).code == 0
    assert engine.requests[0].trace_top_k == 0
    if setting:
        assert kept() is None


def test_a_mistake_in_the_table_is_reported(tok: Tok, model: Path):
    with config_file().open("a", encoding="utf-8") as file:
        file.write("[trace]\nkep = true\n")
    outcome = tok("ask", "q", engine=ScriptedEngine(["one"]))
    assert outcome.code == 0
    assert "unknown key `kep`" in outcome.err
    assert kept() is not None
