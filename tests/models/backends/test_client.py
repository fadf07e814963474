"""The settings of the `openai` client: Azure deployments, keys, headers, addresses and limits."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from endpoint_server import Asked, Bytes, EndpointServer, refuse, say

from convogen import Experiment
from convogen.errors import EndpointDown, ExperimentError, ModelConfigError, ModelFault
from convogen.models.backends import client
from convogen.models.backends.client import KeyProvider
from convogen.models.backends.openai_compatible import EndpointModel
from convogen.models.base import Message, ModelReply, Request, Sampling, Transient
from convogen.models.spec import ModelSpec

KEY, VERSION = "marked-azure-key", "2024-10-21"
AZURE = {"api_version": VERSION, "deployment": "eu-1"}


def ask(
    spec: dict[str, Any], *, provider: KeyProvider | None = None, n: int = 1, **more: Any
) -> ModelReply:
    """Return the last of `n` replies to the same request."""

    async def asking() -> ModelReply:
        model = EndpointModel(ModelSpec(timeout_s=20, **spec), provider)
        request = Request("agent", "gpt-4o", (Message("user", "hello"),), Sampling(), **more)
        try:
            return [await model.complete(request) for _ in range(n)][-1]
        finally:
            await model.close()

    return asyncio.run(asking())


def root(endpoint: EndpointServer) -> str:
    return endpoint.base_url.removesuffix("/v1")


def resource(asked: Asked) -> Bytes:
    """Answer as an Azure resource with one deployment, which requires its key and an API
    version."""
    if asked.headers.get("api-key") != KEY:
        return refuse(401, f"Access denied due to invalid subscription key {asked.headers}.", "401")
    if asked.query != {"api-version": VERSION}:
        return refuse(404, "Resource not found")
    if not asked.path.startswith("/openai/deployments/eu-1/"):
        return refuse(404, "The API deployment for this resource does not exist")
    return say("Hello.")


class TestAzure:
    def test_a_deployment_is_reached(
        self, endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
        endpoint.script = resource
        spec = {"name": "gpt-4o", "base_url": root(endpoint) + "/", "azure": AZURE}
        assert ask(spec).text == "Hello."
        [asked] = endpoint.asked
        assert asked.path == "/openai/deployments/eu-1/chat/completions"
        assert "Authorization" not in asked.headers

    def test_likelihoods_are_asked_of_the_deployment_too(
        self, endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
        endpoint.script = resource
        spec = {"name": "gpt-4o", "base_url": root(endpoint), "azure": AZURE}
        with pytest.raises(ModelFault, match="no log-probabilities"):
            ask(spec, continuations=(" there",))
        assert endpoint.asked[0].path == "/openai/deployments/eu-1/completions"

    def test_all_of_it_may_come_from_the_environment(
        self, endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The deployment then has the same name as the model."""
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", root(endpoint))
        monkeypatch.setenv("OPENAI_API_VERSION", VERSION)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        endpoint.script = resource
        assert ask({"name": "eu-1", "azure": {}}).text == "Hello."

    @pytest.mark.parametrize(
        ("change", "error", "words"),
        [
            ({"key": "a-wrong-key"}, EndpointDown, ["401", "set AZURE_OPENAI_API_KEY to a valid"]),
            ({"api_version": "1999-01-01"}, ModelConfigError, ["404", "azure.api_version"]),
            ({"deployment": "eu-2"}, ModelConfigError, ["404", "azure.deployment"]),
        ],
    )
    def test_what_the_resource_refuses_is_one_line(
        self,
        endpoint: EndpointServer,
        monkeypatch: pytest.MonkeyPatch,
        change: dict[str, str],
        error: type[Exception],
        words: list[str],
    ) -> None:
        change = dict(change)
        monkeypatch.setenv("AZURE_OPENAI_API_KEY", key := change.pop("key", KEY))
        endpoint.script = resource
        with pytest.raises(error) as caught:
            ask({"name": "gpt-4o", "base_url": root(endpoint), "azure": AZURE | change})
        [line] = str(caught.value).splitlines()
        assert all(word in line for word in words)
        assert key not in line
        assert len(endpoint.asked) == 1

    @pytest.mark.parametrize(
        ("set_", "header", "value"),
        [
            (
                ["AZURE_OPENAI_API_KEY", "OPENAI_API_KEY"],
                "api-key",
                "value of AZURE_OPENAI_API_KEY",
            ),
            (["OPENAI_API_KEY"], "api-key", "value of OPENAI_API_KEY"),
            (
                ["AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_API_KEY"],
                "Authorization",
                "Bearer value of AZURE_OPENAI_AD_TOKEN",
            ),
            (["AZURE_OPENAI_AD_TOKEN", "OWN_KEY"], "api-key", "value of OWN_KEY"),
        ],
    )
    def test_which_credential_is_used(
        self,
        endpoint: EndpointServer,
        monkeypatch: pytest.MonkeyPatch,
        set_: list[str],
        header: str,
        value: str,
    ) -> None:
        """A named variable takes precedence over a token, and a token over the standard keys."""
        for name in set_:
            monkeypatch.setenv(name, f"value of {name}")
        own = {"api_key_env": "OWN_KEY"} if "OWN_KEY" in set_ else {}
        ask({"name": "gpt-4o", "base_url": root(endpoint), "azure": AZURE, **own})
        headers = endpoint.asked[0].headers
        assert {name: headers.get(name) for name in ("api-key", "Authorization")} == {
            "api-key": None,
            "Authorization": None,
            header: value,
        }

    @pytest.mark.parametrize(
        ("lacking", "words"),
        [
            ("AZURE_OPENAI_ENDPOINT", ["AZURE_OPENAI_ENDPOINT", "base_url"]),
            ("OPENAI_API_VERSION", ["OPENAI_API_VERSION", "azure.api_version"]),
            ("AZURE_OPENAI_API_KEY", ["no API key is set; set AZURE_OPENAI_API_KEY"]),
        ],
    )
    def test_what_is_missing_is_named(
        self, monkeypatch: pytest.MonkeyPatch, lacking: str, words: list[str]
    ) -> None:
        there = {
            "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:1",
            "OPENAI_API_VERSION": VERSION,
            "AZURE_OPENAI_API_KEY": KEY,
        }
        for name in there.keys() - {lacking}:
            monkeypatch.setenv(name, there[name])
        with pytest.raises(ModelConfigError) as caught:
            EndpointModel(ModelSpec(name="gpt-4o", azure={}))
        assert all(word in str(caught.value) for word in words)

    def test_in_an_experiment_it_changes_no_fingerprint(self, tmp_path: Path) -> None:
        """YAML reads the version as a date."""
        path = tmp_path / "own.yaml"
        text = "name: own\nn: 1\nmodels: {default: {name: gpt-4o, base_url: http://h%s}}\n"
        fingerprints: set[str] = set()
        for more in ("/v1", ", azure: {api_version: 2024-10-21, deployment: eu-1}"):
            path.write_text(text % more)
            experiment = Experiment.load(path)
            fingerprints.add(experiment.fingerprint)
            path.write_text(experiment.to_yaml())
            assert Experiment.load(path).common.models == experiment.common.models
        assert len(fingerprints) == 1
        azure = Experiment.load(path).model("agent").azure
        assert azure is not None
        assert azure.api_version == VERSION

    def test_an_unknown_key_is_named_with_those_there_are(self) -> None:
        models = {"default": {"name": "m", "azure": {"version": "1"}}}
        with pytest.raises(ExperimentError, match=r"azure\.version.*api_version, deployment"):
            Experiment({"name": "own", "models": models})


class TestKeyProvider:
    @pytest.mark.parametrize("azure", [None, AZURE])
    def test_a_key_is_fetched_for_each_call(
        self, endpoint: EndpointServer, azure: dict[str, str] | None
    ) -> None:
        """On Azure, the key is a Microsoft Entra ID token, which is also a bearer token."""
        keys = iter(["renewed-key-1", "renewed-key-2"])

        async def provide() -> str:
            return next(keys)

        ask(
            {"name": "gpt-4o", "base_url": endpoint.base_url if azure is None else root(endpoint)}
            | ({"azure": azure} if azure else {}),
            provider=provide,
            n=2,
        )
        sent = [asked.headers["Authorization"] for asked in endpoint.asked]
        assert sent == ["Bearer renewed-key-1", "Bearer renewed-key-2"]

    def test_no_message_quotes_it(self, endpoint: EndpointServer) -> None:
        async def provide() -> str:
            return "renewed-key"

        endpoint.script = lambda asked: refuse(401, f"bad key {asked.headers['Authorization']}")
        with pytest.raises(EndpointDown, match="the key provider") as caught:
            ask({"name": "gpt-4o", "base_url": endpoint.base_url}, provider=provide)
        assert "renewed-key" not in str(caught.value)


def test_organisation_and_project_are_sent(
    endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    ask({"name": "gpt-4o", "base_url": endpoint.base_url})
    headers = endpoint.asked[0].headers
    assert (headers["OpenAI-Organization"], headers["OpenAI-Project"]) == ("org-1", "proj-1")


def test_nothing_is_sent_that_tells_about_this_machine(endpoint: EndpointServer) -> None:
    ask({"name": "gpt-4o", "base_url": endpoint.base_url})
    names = {name.lower() for name in endpoint.asked[0].headers}
    assert {name for name in names if name.startswith("x-")} == {"x-stainless-retry-count"}


def test_secrets_in_custom_headers_are_masked(
    endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway-Token: marked-token-1\nX-Team: blue")
    endpoint.script = lambda asked: refuse(403, f"not {asked.headers['X-Gateway-Token']}")
    with pytest.raises(EndpointDown) as caught:
        ask({"name": "gpt-4o", "base_url": endpoint.base_url})
    assert endpoint.asked[0].headers["X-Team"] == "blue"
    assert "not ***" in str(caught.value)


class TestBaseUrl:
    def test_it_may_come_from_the_environment(
        self, endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f" {endpoint.base_url}/ ")
        ask({"name": "gpt-4o"})
        assert endpoint.asked[0].path == "/v1/chat/completions"

    def test_one_that_is_none_is_named_by_its_variable(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000")
        with pytest.raises(ModelConfigError, match="OPENAI_BASE_URL must be an HTTP or"):
            EndpointModel(ModelSpec(name="gpt-4o"))

    def test_its_query_is_sent_with_each_call(self, endpoint: EndpointServer) -> None:
        ask({"name": "gpt-4o", "base_url": f"{endpoint.base_url}?a=1%2B2&b=&c=ö%20x"})
        assert endpoint.asked[0].query == {"a": "1+2", "b": "", "c": "ö x"}


class TestProxy:
    @pytest.fixture(autouse=True)
    def _no_exceptions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # in openai itself
    def test_it_needs_no_scheme_and_gets_its_credentials(
        self, endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = root(endpoint).removeprefix("http://")
        monkeypatch.setenv("http_proxy", f"me:s3cret-word@{address}")
        endpoint.script = lambda _: refuse(400, "not for s3cret-word")
        with pytest.raises(ModelFault) as caught:
            ask({"name": "gpt-4o", "base_url": "http://endpoint.invalid/v1"})
        assert endpoint.asked[0].headers["Proxy-Authorization"].startswith("Basic ")
        assert "not for ***" in str(caught.value)

    def test_one_that_is_not_http_is_refused_in_a_line(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("all_proxy", "socks5://me:s3cret-word@127.0.0.1:1080")
        spec = ModelSpec(name="gpt-4o", base_url="http://endpoint.invalid/v1")
        with pytest.raises(ModelConfigError, match="only HTTP proxies") as caught:
            EndpointModel(spec)
        assert "s3cret-word" not in str(caught.value)


LONG = json.dumps({"error": {"message": "x" * 3_000_000}}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        Bytes(LONG),
        Bytes(LONG, 500),
        Bytes(gzip.compress(LONG), headers={"Content-Encoding": "gzip"}),
        Bytes(gzip.compress(LONG), 400, {"Content-Encoding": "gzip"}),
    ],
    ids=["plain", "error", "compressed", "compressed error"],
)
def test_an_answer_that_is_too_long_is_refused_while_it_is_read(
    endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch, answer: Bytes
) -> None:
    monkeypatch.setattr(client, "MAX_ANSWER_BYTES", 1 << 20)
    endpoint.script = lambda _: answer
    with pytest.raises(Transient, match="exceeds 1 MiB") as caught:
        ask({"name": "gpt-4o", "base_url": endpoint.base_url})
    assert caught.value.kind == "unreadable"


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_a_compressed_answer_is_unpacked(
    endpoint: EndpointServer, pack: Callable[[bytes], bytes]
) -> None:
    encoding = "gzip" if pack is gzip.compress else "identity"
    content = pack(say("Hello.").content)
    endpoint.script = lambda _: Bytes(content, headers={"Content-Encoding": encoding})
    assert ask({"name": "gpt-4o", "base_url": endpoint.base_url}).text == "Hello."


def test_a_log_of_the_http_library_shows_no_key(
    endpoint: EndpointServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    ask({"name": "gpt-4o", "base_url": f"{endpoint.base_url}?key=marked-query-key"})
    assert "/v1/chat/completions" in caplog.text
    assert "marked-query-key" not in caplog.text
