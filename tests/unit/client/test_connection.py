"""A connection over a process that is only pretended: whatever is sent in whatever order, every stream ends once."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from app.client.connection import Connection, Graces
from app.domain.generation import FinishReason, PromptSpans
from app.domain.sampling import SamplingParams
from app.protocol.codec import command_decoder, encode
from app.protocol.commands import Abort, CancelLoad, Generate, LoadModel, Shutdown
from app.protocol.events import (
    EngineLost,
    GenerationFinished,
    GenerationStarted,
    LoadFailed,
    LoadProgress,
    ModelReady,
    TokensGenerated,
)
from tests.fakes.engine_events import make_finished, make_hello, make_ready, make_token

TERMINAL = (GenerationFinished, EngineLost, ModelReady, LoadFailed)


class PretendedProcess:
    """Takes what is sent; a test says what comes back and when it ends."""

    def __init__(self):
        self.sent = []
        self.killed = False
        self._decoder = command_decoder()

    def attach(self, on_chunk, on_exit):
        self.say, self.exit = on_chunk, on_exit

    def send(self, data):
        self.sent += self._decoder.feed(data)

    def close_input(self):
        pass

    def terminate(self):
        pass

    def kill(self):
        self.killed = True

    def log_tail(self):
        return "the log"


async def turn():
    """Lets what was said from the process's thread arrive."""
    for _ in range(3):
        await asyncio.sleep(0)


async def greeted(graces=None):
    process, lost = PretendedProcess(), []
    connection = Connection(process, graces or Graces(), lost.append)
    process.say(encode(make_hello()))
    await turn()
    return connection, process, lost


def generate(request_id):
    return Generate(request_id, (), SamplingParams())


async def test_an_abort_is_sent_once_and_only_for_an_open_request():
    connection, process, _ = await greeted()
    connection.request(generate(1))
    connection.abort(1)
    connection.abort(1)
    connection.abort(2)
    assert process.sent == [generate(1), Abort(1)]
    process.say(encode(make_finished(1, FinishReason.ABORT)))
    await turn()
    connection.leave_request(1)
    assert process.sent == [generate(1), Abort(1)]


async def test_what_a_left_request_still_sends_is_dropped_until_it_ends():
    connection, process, _ = await greeted()
    left, other = connection.request(generate(1)), connection.request(generate(2))
    connection.leave_request(1)
    for event in (TokensGenerated(1, "a", ()), make_finished(1), TokensGenerated(2, "b", ())):
        process.say(encode(event))
    await turn()
    assert await other.get() == TokensGenerated(2, "b", ())
    assert not left._events
    assert process.sent[-1] == Abort(1)


async def test_a_load_left_early_may_still_succeed_and_is_then_known():
    connection, process, _ = await greeted()
    command = LoadModel("/m.gguf")
    connection.leave_load(connection.load(command))
    assert process.sent == [command, CancelLoad()]
    process.say(encode(make_ready("/m.gguf")))
    await turn()
    assert (connection.model.path, connection.loaded, connection.loading) == ("/m.gguf", command, False)


async def test_the_loss_is_reported_once_with_the_log():
    connection, process, lost = await greeted()
    mailbox = connection.request(generate(1))
    process.exit(-6)
    process.exit(0)
    await turn()
    assert await mailbox.get() == EngineLost(-6, "killed by SIGABRT", "the log")
    assert lost == [connection]
    assert await connection.request(generate(2)).get() == connection.lost
    assert await connection.load(LoadModel("/m")).get() == connection.lost


async def test_a_process_that_outlives_sigkill_is_not_waited_for():
    connection, process, _ = await greeted(Graces(exit_s=0.01))
    mailbox = connection.request(generate(1))
    connection.kill("did not stop")
    assert await mailbox.get() == EngineLost(None, "did not stop", "the log")
    assert process.killed


async def test_close_asks_first():
    connection, process, _ = await greeted()
    closing = asyncio.create_task(connection.close())
    await turn()
    assert process.sent == [Shutdown()]
    process.exit(0)
    await closing
    assert not process.killed


REQUEST = st.integers(1, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["request", "leave", "abort", "started", "token", "finished"]), REQUEST),
        st.tuples(
            st.sampled_from(["load", "leave load", "progress", "ready", "failed", "hello", "garbage"]), st.just(0)
        ),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_every_stream_ends_exactly_once(steps):
    asyncio.run(play(steps))


async def play(steps):
    connection, process, lost = await greeted()
    requests, loads, left, n_requests = {}, [], set(), 0
    open_ids = {}
    said = {
        "started": lambda n: GenerationStarted(n, 1, 0, PromptSpans(), 1),
        "token": lambda n: TokensGenerated(n, "x", (make_token("x", n_top=0),)),
        "finished": make_finished,
        "progress": lambda _: LoadProgress(0.5),
        "ready": lambda _: make_ready(),
        "failed": lambda _: LoadFailed("no"),
        "hello": lambda _: make_hello(),
    }
    for kind, n in steps:
        if kind == "request":
            n_requests += 1
            open_ids[n] = n_requests
            requests[n_requests] = connection.request(generate(n_requests))
        elif kind in ("leave", "abort") and n in open_ids:
            if kind == "leave":
                left.add(open_ids[n])
                connection.leave_request(open_ids[n])
            else:
                connection.abort(open_ids[n])
        elif kind == "load":
            loads.append(connection.load(LoadModel("/m")))
        elif kind == "leave load" and loads:
            connection.leave_load(loads.pop())
        elif kind == "garbage":
            process.say(b"\xff\xff\xff\xff")
        elif kind in said:
            process.say(encode(said[kind](open_ids.get(n, 99))))
        await turn()
    process.exit(0)
    await turn()
    assert lost == [connection]
    mailboxes = [mailbox for request_id, mailbox in requests.items() if request_id not in left] + loads
    for mailbox in mailboxes:
        events = list(mailbox._events)
        assert [isinstance(event, TERMINAL) for event in events] == [False] * (len(events) - 1) + [True]


async def test_an_event_before_hello_ends_the_worker():
    process = PretendedProcess()
    connection = Connection(process, Graces(), lambda _: None)
    process.say(encode(LoadProgress(0.5)))
    await turn()
    assert (connection.condemned, connection._verdict) == (True, "broke the protocol: LoadProgress out of order")


async def test_a_second_hello_ends_the_worker():
    connection, process, _ = await greeted()
    process.say(encode(make_hello()))
    await turn()
    assert (process.killed, connection._verdict) == (True, "broke the protocol: Hello out of order")
