import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from email.utils import formatdate

import pytest

from app.config.paths import cache_dir
from app.domain.remote import RemoteModel
from app.remote import http
from app.remote.errors import RemoteError, StreamError
from app.remote.http import ServerConnection
from app.remote.refusals import StatusError
from app.tui.common.crash import write_report
from tests.fakes.http_server import Answer, FakeServer, as_json, as_stream, delta

KEY = "sk-very-secret-0123456789"


@pytest.fixture
async def server() -> AsyncGenerator[FakeServer]:
    async with FakeServer() as server:
        yield server


def connection(server: FakeServer, slept: list[float] | None = None, **options: object) -> ServerConnection:
    async def sleep(seconds: float) -> None:
        if slept is not None:
            slept.append(seconds)

    return ServerConnection(RemoteModel(url=server.url, **options), sleep)  # type: ignore[arg-type]  -- by name


async def body_of(connection: ServerConnection, path: str = "/chat/completions") -> bytes:
    async with connection.stream(path, {"a": 1}) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_a_body_is_sent_and_the_answer_streams(server: FakeServer) -> None:
    server.answers["/v1/chat/completions"] = [as_stream(delta("a"))]
    assert b"[DONE]" in await body_of(connection(server))
    assert server.bodies("/v1/chat/completions") == [{"a": 1}]


async def test_a_path_below_the_host_leaves_the_version_out(server: FakeServer) -> None:
    server.answers["/props"] = [as_json({"x": 1})]
    assert await connection(server).get("//props") == {"x": 1}


async def test_headers_of_the_file_are_sent(server: FakeServer) -> None:
    server.answers["/v1/models"] = [as_json({})]
    await connection(server, headers={"X-Team": "blue"}).get("/models")
    assert server.seen[0].headers["x-team"] == "blue"
    assert "authorization" not in server.seen[0].headers


async def test_the_key_comes_from_the_environment(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    server.answers["/v1/models"] = [as_json({})]
    await connection(server, api_key_env="MY_KEY").get("/models")
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


async def test_the_key_is_in_no_error_no_log_and_no_representation(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server.answers["/v1/models"] = [as_json({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401)]
    asked = connection(server, api_key_env="MY_KEY")
    with pytest.raises(StatusError) as caught:
        await asked.get("/models")
    assert "Incorrect API key provided: ***" in str(caught.value)
    assert caught.value.hint == "Set MY_KEY to another key."
    everything = [
        caught.value.full_message,
        caught.value.body,
        caplog.text,
        repr(vars(asked)),
        repr(vars(asked._client)),
    ]
    assert not [text for text in everything if KEY in text]


async def test_the_key_is_in_no_crash_report(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    asked = connection(server, api_key_env="MY_KEY")
    try:
        await asked.get("/models")
    except StatusError:
        printed = write_report().plain
    report = next(cache_dir().glob("crash-*.txt")).read_text()
    assert "StatusError" in report
    assert KEY not in printed + report


@pytest.mark.parametrize(
    ("value", "message"), [("", "is not set"), (" ", "is not set"), ("a\nb", "holds no key"), ("é", "holds no key")]
)
def test_a_key_that_cannot_be_one_is_an_error_that_does_not_show_it(
    value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(RemoteError, match=message) as caught:
        ServerConnection(RemoteModel(url="http://h/v1", api_key_env="MY_KEY"))
    assert not value.strip() or value not in caught.value.full_message


def test_certificates_that_cannot_be_read_are_an_error() -> None:
    with pytest.raises(RemoteError, match=r"cannot read the certificates in /nowhere\.pem"):
        ServerConnection(RemoteModel(url="https://h/v1", ca_file="/nowhere.pem"))


REFUSALS = {
    "no key": (401, {"error": "who?"}, "wants a key (HTTP 401): who?", "api_key_env"),
    "forbidden": (403, {}, "wants a key (HTTP 403)", "api_key_env"),
    "unknown": (404, {"error": {"message": "no model x"}}, "(HTTP 404): no model x", "Check `source`"),
    "busy": (429, {"error": {"message": "slow down"}}, "too many requests (HTTP 429): slow down", "later"),
    "wrong": (400, {"detail": "top_k"}, "refuses the request (HTTP 400): top_k", ""),
    "fails": (500, {"error": "oops"}, "fails (HTTP 500): oops", ""),
}


@pytest.mark.parametrize(("status", "body", "message", "hint"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_says_what_to_do(
    server: FakeServer, status: int, body: object, message: str, hint: str
) -> None:
    server.answers["/v1/chat/completions"] = [as_json(body, status)]
    with pytest.raises(StatusError) as caught:
        await body_of(connection(server))
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert len(server.seen) == 1


async def test_a_web_page_as_a_refusal_is_not_shown(server: FakeServer) -> None:
    server.answers["/v1/models"] = [Answer([b"<html><h1>Bad gateway</h1>"], 502)]
    with pytest.raises(StatusError, match=r"127\.0\.0\.1 fails \(HTTP 502\)$"):
        await connection(server).get("/models")


async def test_a_web_page_in_place_of_json_is_an_error(server: FakeServer) -> None:
    server.answers["/v1/models"] = [Answer([b"<html>"])]
    with pytest.raises(RemoteError, match="gives no JSON"):
        await connection(server).get("/models")


async def test_a_redirect_is_not_followed(server: FakeServer) -> None:
    server.answers["/v1/models"] = [Answer([], 302, {"Location": "http://elsewhere/"})]
    with pytest.raises(StatusError, match=r"sends the request elsewhere \(HTTP 302\): http://elsewhere/"):
        await connection(server).get("/models")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_server_is_asked_again_after_the_time_it_names(server: FakeServer, status: int) -> None:
    slept: list[float] = []
    server.answers["/v1/chat/completions"] = [as_json({}, status, Retry_After="2"), as_stream(delta("a"))]
    assert b"[DONE]" in await body_of(connection(server, slept))
    assert slept == [2.0]


async def test_the_time_may_be_a_date(server: FakeServer) -> None:
    slept: list[float] = []
    date = formatdate(time.time() + 30, usegmt=True)
    server.answers["/v1/chat/completions"] = [as_json({}, 429, Retry_After=date), as_stream(delta("a"))]
    await body_of(connection(server, slept))
    assert 20 < slept[0] <= 30


@pytest.mark.parametrize("after", ["3600", "soon", "-"])
async def test_a_long_time_or_none_is_not_waited_for(server: FakeServer, after: str) -> None:
    server.answers["/v1/chat/completions"] = [as_json({}, 429, Retry_After=after)]
    with pytest.raises(StatusError, match="too many requests"):
        await body_of(connection(server))
    assert len(server.seen) == 1


async def test_a_server_that_stays_busy_is_given_up(server: FakeServer) -> None:
    slept: list[float] = []
    server.answers["/v1/chat/completions"] = [as_json({}, 503, Retry_After="1")]
    with pytest.raises(StatusError, match="HTTP 503"):
        await body_of(connection(server, slept))
    assert (len(server.seen), slept) == (3, [1.0, 1.0])


async def test_a_server_that_is_away_is_tried_again() -> None:
    server = FakeServer({"/v1/chat/completions": as_stream(delta("a"))})
    await server.start()
    await server.stop()

    async def sleep(_: float) -> None:
        await server.start()

    asked = ServerConnection(RemoteModel(url=server.url), sleep)
    assert b"[DONE]" in await body_of(asked)
    await server.stop()


async def test_a_server_that_stays_away_is_named() -> None:
    async with FakeServer() as server:
        pass
    slept: list[float] = []
    with pytest.raises(RemoteError, match=f"cannot reach http://127.0.0.1:{server.port}/v1"):
        await body_of(connection(server, slept))
    assert slept == [0.25, 1.0]


async def test_a_connection_that_breaks_off_gives_what_came(server: FakeServer) -> None:
    server.answers["/v1/chat/completions"] = [as_stream(delta("a"), done=False, broken=True)]
    got: list[bytes] = []

    async def read() -> None:
        async with connection(server).stream("/chat/completions", {}) as chunks:
            async for chunk in chunks:
                got.append(chunk)

    with pytest.raises(StreamError, match=r"the connection to 127\.0\.0\.1 broke off"):
        await read()
    assert b"".join(got).startswith(b"data: ")
    assert len(server.seen) == 1


async def test_a_silent_server_is_given_up(server: FakeServer) -> None:
    server.answers["/v1/chat/completions"] = [Answer([b"data: 1\n\n", asyncio.Event()])]
    with pytest.raises(StreamError, match=r"127\.0\.0\.1 sent nothing for 0\.05 s"):
        await body_of(connection(server, timeout_s=0.05))


async def test_a_server_that_says_nothing_of_itself_is_given_up(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "_GET_S", 0.05)
    server.answers["/v1/models"] = [Answer([asyncio.Event()])]
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1 sent nothing for 0\.05 s"):
        await connection(server).get("/models")


async def test_connections_are_used_again(server: FakeServer) -> None:
    server.answers["/v1/models"] = [as_json({"a": 1})]
    asked = connection(server)
    for _ in range(3):
        await asked.get("/models")
    assert server.n_connections == 1


async def test_a_compressed_answer_is_read(server: FakeServer) -> None:
    import gzip

    server.answers["/v1/models"] = [Answer([gzip.compress(b'{"a": 1}')], 200, {"Content-Encoding": "gzip"})]
    assert await connection(server).get("/models") == {"a": 1}


async def test_the_proxy_of_the_environment_is_not_used_for_this_machine(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.answers["/v1/models"] = [as_json({"a": 1})]
    assert await connection(server).get("/models") == {"a": 1}


async def test_a_proxy_that_the_file_names_is_used(server: FakeServer) -> None:
    server.answers["http://far.example/v1/models"] = [as_json({"a": 1})]
    asked = ServerConnection(RemoteModel(url="http://far.example/v1", proxy=f"http://127.0.0.1:{server.port}"))
    assert await asked.get("/models") == {"a": 1}


async def test_the_proxy_of_the_environment_is_used_for_others(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.answers["http://far.example/v1/models"] = [as_json({"a": 1})]
    assert await ServerConnection(RemoteModel(url="http://far.example/v1")).get("/models") == {"a": 1}
