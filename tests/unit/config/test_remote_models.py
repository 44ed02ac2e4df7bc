from pathlib import Path

import pytest

from app.config.catalogue import Catalogue, load_catalogue
from app.domain.model import LoadOptions
from app.domain.remote import RemoteModel, read_source


def load(tmp_path: Path, text: str) -> Catalogue:
    path = tmp_path / "models.toml"
    path.write_text(text)
    return load_catalogue(path)


def test_a_model_of_a_server(tmp_path: Path) -> None:
    catalogue = load(
        tmp_path,
        '[models.big]\nsource = "openai:https://host:8000/v1/#org/m"\ntitle = "Big"\napi_key_env = "BIG_KEY"\n'
        'timeout_s = 30\nca_file = "ca.pem"\nproxy = "http://p:1"\nn_ctx = 4096\nheaders = { X-Team = "blue" }\n',
    )
    assert catalogue.problems == []
    spec = catalogue.models["big"]
    assert (spec.source, spec.title) == ("openai:https://host:8000/v1/#org/m", "Big")
    remote = RemoteModel(
        url="https://host:8000/v1",
        model="org/m",
        api_key_env="BIG_KEY",
        timeout_s=30,
        headers={"X-Team": "blue"},
        ca_file=str(tmp_path / "ca.pem"),
        proxy="http://p:1",
    )
    assert spec.options == LoadOptions(n_ctx=4096, remote=remote)


MISTAKES = {
    "no address": ('source = "openai:"', 2, "`source` must name a server, as in"),
    "no scheme": ('source = "openai:host/v1#m"', 2, "`source` must name a server, as in"),
    "no host": ('source = "openai:http://#m"', 2, "`source` must name a server, as in"),
    "a port that is none": ('source = "openai:http://h:x/v1"', 2, "`source` must name a server, as in"),
    "another scheme": ('source = "openai:file:///etc/passwd"', 2, "`source` must name a server, as in"),
    "a password": ('source = "openai:http://u:p@h/v1"', 2, "`source` must hold no password"),
    "a query": ('source = "openai:http://h/v1?key=1"', 2, "`source` must hold no `?`"),
    "a key": ('source = "openai:http://h/v1"\napi_key_env = "sk-12-34"', 3, "`api_key_env`"),
    "a secret header": (
        'source = "openai:http://h/v1"\nheaders.Authorization = "Bearer x"',
        3,
        "`Authorization` is secret: name a variable that holds the key in `api_key_env`",
    ),
    "a header of two lines": ('source = "openai:http://h/v1"\nheaders.X-A = "a\\nb"', 3, "`X-A` cannot be sent"),
    "a header that is no text": ('source = "openai:http://h/v1"\nheaders.X-A = 3', 3, "`X-A` must be text"),
    "no time": ('source = "openai:http://h/v1"\ntimeout_s = 0', 3, "`timeout_s` must be more than 0"),
    "an option of loading": (
        'source = "openai:http://h/v1"\nn_gpu_layers = 3',
        3,
        "`n_gpu_layers` has no effect: a server loads this model",
    ),
    "a key of a server with a file": (
        'source = "/a.gguf"\ntimeout_s = 3',
        3,
        "`timeout_s` needs a `source` that begins",
    ),
    "a misspelt key": ('source = "openai:http://h/v1"\napi_key_evn = "A"', 3, "unknown key `api_key_evn`"),
}


@pytest.mark.parametrize(("text", "line", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_has_its_place(tmp_path: Path, text: str, line: int, message: str) -> None:
    catalogue = load(tmp_path, f"[models.big]\n{text}\n")
    assert [problem.line for problem in catalogue.problems] == [line]
    assert catalogue.problems[0].message.startswith(message)
    assert catalogue.flawed == {"big"}


def test_the_near_key_is_suggested(tmp_path: Path) -> None:
    catalogue = load(tmp_path, '[models.big]\nsource = "openai:http://h/v1"\napi_key_evn = "A"\n')
    assert catalogue.problems[0].suggestion == "api_key_env"


@pytest.mark.parametrize(
    "source", ["openai:http://h/v1#m", "openai:http://[::1]:8080/v1", "openai:https://h/a/b#x/y:z"]
)
def test_a_source_is_written_as_it_is_read(source: str) -> None:
    assert read_source(source).source == source
