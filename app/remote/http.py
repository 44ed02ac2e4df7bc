"""Requests to one server: the key, proxies, certificates, retries, and every failure in words. The home of httpx."""

from __future__ import annotations

import asyncio
import email.utils
import ipaddress
import json
import os
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import httpx

from app.domain.remote import RemoteModel
from app.domain.text import one_line
from app.remote.errors import RemoteError, StreamError
from app.remote.fields import JsonTable
from app.remote.refusals import StatusError, refusal_of

_CONNECT_S = 10.0
_GET_S = 10.0
_PAUSES_S = (0.25, 1.0)
"""Before further attempts where the connection failed before the answer began."""
MAX_WAIT_S = 60.0
"""Longest `Retry-After` that is waited for."""
_BUSY = (429, 503)
_ERROR_BYTES = 1 << 16
"""As much of an error's body is read."""
_MAX_JSON_BYTES = 32 << 20

_BEFORE_ANSWER = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.RemoteProtocolError,
    httpx.ReadError,
    httpx.WriteError,
)


class ServerConnection:
    """Requests to the server of one model. Nothing is followed to another address, so the key goes nowhere else."""

    def __init__(self, model: RemoteModel, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Raises RemoteError for a key or certificates that cannot be used."""
        self._model = model
        self._sleep = sleep
        self.host = httpx.URL(model.url).host
        local = _is_this_machine(self.host)
        self._client = httpx.AsyncClient(
            auth=_KeyAuth(model.api_key_env) if model.api_key_env else None,
            headers=dict(model.headers),
            timeout=httpx.Timeout(model.timeout_s, connect=min(_CONNECT_S, model.timeout_s), pool=None),
            limits=httpx.Limits(max_connections=None),
            verify=_trust(model.ca_file),
            proxy=model.proxy or None,
            trust_env=not local,
        )

    async def close(self) -> None:
        """Closes what is open."""
        await self._client.aclose()

    async def get(self, path: str) -> JsonTable:
        """The JSON object at `path`, an empty one for other JSON. Raises RemoteError."""
        request = self._client.build_request("GET", self._url(path), timeout=_GET_S)
        return await self._json(request)

    async def post(self, path: str, body: Mapping[str, Any]) -> JsonTable:
        """The JSON object that answers `body`. Raises RemoteError."""
        return await self._json(self._client.build_request("POST", self._url(path), json=body))

    @asynccontextmanager
    async def stream(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[AsyncGenerator[bytes]]:
        """Sends `body` and gives the bytes of the answer as they come.

        Raises RemoteError where the answer does not begin, and StreamError where it breaks off.
        """
        headers = {"Accept": "text/event-stream, application/json"}
        request = self._client.build_request("POST", self._url(path), json=body, headers=headers)
        response = await self._opened(request)
        try:
            async with aclosing(self._chunks(response)) as chunks:
                yield chunks
        finally:
            await response.aclose()

    async def _json(self, request: httpx.Request) -> JsonTable:
        response = await self._opened(request)
        try:
            body = b""
            async for chunk in self._chunks(response):
                body += chunk
                if len(body) > _MAX_JSON_BYTES:
                    raise RemoteError(f"{self.host} sent more than {_MAX_JSON_BYTES >> 20} MiB")
        finally:
            await response.aclose()
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            raise RemoteError(f"{request.url} gives no JSON", "Check the address: most end in /v1.") from None
        return cast("JsonTable", value) if isinstance(value, dict) else {}

    async def _opened(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request once its head is here; a chat request changes nothing and may be sent again."""
        for pause_s in (*_PAUSES_S, None):
            try:
                response = await self._client.send(request, stream=True)
            except _BEFORE_ANSWER as error:
                if pause_s is None:
                    raise self._unreachable(error, request) from None
                await self._sleep(pause_s)
                continue
            except httpx.HTTPError as error:
                raise self._unreachable(error, request) from None
            if response.status_code < 300:
                return response
            wait_s = _retry_after(response) if response.status_code in _BUSY else None
            if pause_s is None or wait_s is None or wait_s > MAX_WAIT_S:
                raise await self._refusal(response)
            await response.aclose()
            await self._sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    async def _chunks(self, response: httpx.Response) -> AsyncGenerator[bytes]:
        try:
            async for chunk in response.aiter_bytes():
                yield chunk
        except httpx.TimeoutException:
            raise StreamError(*self._silence(response.request)) from None
        except httpx.HTTPError as error:
            raise StreamError(f"the connection to {self.host} broke off{_why(error)}", "Send it again.") from None

    def _url(self, path: str) -> str:
        if path.startswith("//"):
            return self._model.url.removesuffix("/v1") + path[1:]
        return self._model.url + path

    def _silence(self, request: httpx.Request) -> tuple[str, str]:
        """What is said of a server that sends nothing, and the next step."""
        waited_s = request.extensions["timeout"]["read"]
        hint = "Raise `timeout_s`." if waited_s == self._model.timeout_s else "Check that the server runs."
        return f"{self.host} sent nothing for {waited_s:g} s", hint

    def _unreachable(self, error: httpx.HTTPError, request: httpx.Request) -> RemoteError:
        if isinstance(error, httpx.ReadTimeout):
            return RemoteError(*self._silence(request))
        if isinstance(error, httpx.TimeoutException):
            return RemoteError(f"{self.host} does not answer", "Check the address, and that the server runs.")
        return RemoteError(
            f"cannot reach {self._model.url}{_why(error)}", "Check the address, and that the server runs."
        )

    async def _refusal(self, response: httpx.Response) -> StatusError:
        body = self.without_key(await _read_some(response))
        location = response.headers.get("location", "")
        return refusal_of(
            self.host, response.status_code, body, self._model.api_key_env, _retry_after(response), location
        )

    def without_key(self, text: str) -> str:
        """What a server said, without the key if it repeats it."""
        key = _key(self._model.api_key_env)
        return text.replace(key, "***") if key else text


class _KeyAuth(httpx.Auth):
    """Adds the key to a request when it is sent; no object holds it before."""

    def __init__(self, variable: str) -> None:
        self._variable = variable
        key = _key(variable)
        if not key:
            raise RemoteError(f"the variable {variable}, which holds the key, is not set", f"export {variable}=…")
        if not (key.isascii() and key.isprintable()):
            raise RemoteError(f"the variable {variable} holds no key: it has characters that no key has")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = f"Bearer {_key(self._variable)}"
        yield request


def _key(variable: str) -> str:
    return os.environ.get(variable, "").strip() if variable else ""


def _trust(ca_file: str) -> ssl.SSLContext | bool:
    if not ca_file:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise RemoteError(f"cannot read the certificates in {ca_file}: {error}", "Check `ca_file`.") from None


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait, given as a number or as a date; None if it does not ask."""
    value = response.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


async def _read_some(response: httpx.Response) -> str:
    body = b""
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) >= _ERROR_BYTES:
                break
    except httpx.HTTPError:
        pass
    finally:
        await response.aclose()
    return body[:_ERROR_BYTES].decode("utf-8", "replace")


def _why(error: Exception) -> str:
    return f": {said}" if (said := one_line(str(error), 120)) else ""
