"""What a server says of itself and of a model: its kind, the window, the size. Asked once a load."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from app.config.problems import nearest
from app.domain.errors import ModelError
from app.domain.text import one_line
from app.remote.errors import RemoteError
from app.remote.fields import JsonTable, count, table, tables, text
from app.remote.http import ServerConnection
from app.remote.refusals import StatusError
from app.remote.servers import LLAMA_SERVER, OLLAMA, Server, server_of

_NO_LIST = (404, 405, 501)
_SHOWN = 5


class ServedModel(Struct, frozen=True, kw_only=True):
    """A model of a server. Figures are 0 and texts empty where the server does not say."""

    server: Server
    name: str
    """As requests name it."""
    n_ctx: int = 0
    """Context window of one request, in tokens."""
    n_params: int = 0
    quant: str = ""
    build: str = ""
    n_slots: int = 0
    """Requests that it runs at once."""
    notices: tuple[str, ...] = ()


async def describe(connection: ServerConnection, wanted: str) -> ServedModel:
    """Asks a server for `wanted`, or for the only model that it has. Raises RemoteError or ModelError."""
    try:
        listed = tables(await connection.get("/models"), "data")
    except StatusError as error:
        if error.status not in _NO_LIST:
            raise
        listed = []
    entry = _entry(listed, wanted, connection.host)
    name = wanted or text(entry, "id")
    kind = entry or (listed[0] if listed else {})
    server = server_of(connection.host, text(kind, "id"), text(kind, "owned_by"))
    meta = table(entry, "meta")
    described = ServedModel(
        server=server,
        name=name,
        n_ctx=count(meta, "n_ctx") or count(entry, "max_model_len", "context_length", "max_context_length") or 0,
        n_params=count(meta, "n_params") or 0,
        quant=one_line(text(meta, "ftype"), 40),
        notices=_unlisted(listed, entry, name, server, connection.host),
    )
    return await _more(connection, described)


def _entry(listed: Sequence[JsonTable], wanted: str, host: str) -> JsonTable:
    if wanted:
        # Ollama leaves the tag `latest` out.
        names = {wanted, f"{wanted}:latest"}
        found = [each for each in listed if text(each, "id") in names]
        # A llama-server with one model answers to every name.
        if not found and len(listed) == 1 and text(listed[0], "owned_by") == "llamacpp":
            return listed[0]
        return found[0] if found else {}
    if len(listed) == 1:
        return listed[0]
    if not listed:
        raise ModelError(f"{host} does not list its models", "Name one behind the address: `openai:URL#MODEL`.")
    some = ", ".join(one_line(text(each, "id"), 60) for each in listed[:_SHOWN])
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    raise ModelError(f"{host} has several models: {some}{more}", "Name one behind the address: `openai:URL#MODEL`.")


def _unlisted(listed: Sequence[JsonTable], entry: JsonTable, name: str, server: Server, host: str) -> tuple[str, ...]:
    if entry or not listed or server is LLAMA_SERVER:
        return ()
    close = nearest(name, [text(each, "id") for each in listed])
    instead = f"; it lists {one_line(close, 60)}" if close else ""
    return (f"{host} does not list the model {one_line(name, 60)}{instead}",)


async def _more(connection: ServerConnection, model: ServedModel) -> ServedModel:
    """Adds what a server of this kind says elsewhere; that it does not is no failure."""
    try:
        if model.server is LLAMA_SERVER:
            return _with_props(model, await connection.get("//props"))
        if model.server is OLLAMA:
            shown = await connection.post("//api/show", {"model": model.name})
            return _with_ollama(model, shown)
    except RemoteError:
        pass
    return model


def _with_props(model: ServedModel, props: JsonTable) -> ServedModel:
    defaults = table(props, "default_generation_settings")
    return replace(
        model,
        n_ctx=count(defaults, "n_ctx") or model.n_ctx,
        n_slots=count(props, "total_slots") or 0,
        build=one_line(text(props, "build_info"), 60),
    )


def _with_ollama(model: ServedModel, shown: JsonTable) -> ServedModel:
    info, details = table(shown, "model_info"), table(shown, "details")
    return replace(
        model,
        n_params=count(info, "general.parameter_count") or 0,
        quant=one_line(text(details, "quantization_level"), 40),
    )
