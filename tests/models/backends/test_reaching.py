"""Reaching a model: addresses as people paste them, custom headers, and the advice in errors."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen
from endpoint_server import Answer, Asked, Bytes, EndpointServer, Silence, converse, refuse
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from convogen import Experiment, load_run
from convogen.errors import EndpointDown, ExperimentError, ModelConfigError
from convogen.models.addresses import azure_place, without_route
from convogen.models.backends.openai_compatible import EndpointModel
from convogen.models.base import Message, ModelReply, Request, Sampling, Transient
from convogen.models.spec import Azure, ModelSpec

KEY, VERSION = "marked-azure-key", "2024-10-21"

INVENTED = ("--set", "personas=generated")
"""The test endpoint can answer requests for whole experiences."""


def ask(**spec: Any) -> ModelReply:
    async def asking() -> ModelReply:
        model = EndpointModel(ModelSpec(**{"name": "gpt-4o", "timeout_s": 20, **spec}))
        try:
            messages = (Message("user", "hello"),)
            return await model.complete(Request("agent", "gpt-4o", messages, Sampling()))
        finally:
            await model.close()

    return asyncio.run(asking())


def root(endpoint: EndpointServer) -> str:
    return endpoint.base_url.removesuffix("/v1")


@pytest.mark.parametrize(
    ("url", "place", "azure"),
    [
        ("https://x.openai.azure.com", "https://x.openai.azure.com", (None, None)),
        ("https://x.openai.azure.com/?api-version=v", "https://x.openai.azure.com", ("v", None)),
        ("https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=v",
         "https://x.openai.azure.com", ("v", "d")),
        ("https://x.cognitiveservices.azure.com/openai/deployments/d",
         "https://x.cognitiveservices.azure.com", (None, "d")),
        ("https://gateway.example/team/openai/deployments/d?api-version=v&a=1",
         "https://gateway.example/team?a=1", ("v", "d")),
        ("https://x.openai.azure.com/openai/v1/", "https://x.openai.azure.com/openai/v1/", None),
        ("https://x.services.ai.azure.com/models?api-version=v",
         "https://x.services.ai.azure.com/models?api-version=v", None),
        ("https://openai.azure.com.example/v1", "https://openai.azure.com.example/v1", None),
        ("http://127.0.0.1:8000/v1/chat/completions", "http://127.0.0.1:8000/v1", None),
        ("http://127.0.0.1:8000/v1/chat/completions?a=1", "http://127.0.0.1:8000/v1?a=1", None),
    ],
)  # fmt: skip
def test_an_address_is_read_as_people_paste_it(
    url: str, place: str, azure: tuple[str | None, str | None] | None
) -> None:
    spec = ModelSpec(name="m", base_url=url)
    found = spec.azure and (spec.azure.api_version, spec.azure.deployment)
    assert (spec.base_url, found) == (place, azure)
    assert ModelSpec.model_validate(spec.model_dump()) == spec


def test_keys_go_over_what_the_address_says() -> None:
    url = "https://x.openai.azure.com/openai/deployments/d?api-version=v"
    spec = ModelSpec(name="m", base_url=url, azure=Azure(api_version="w"))
    assert spec.azure == Azure(api_version="w", deployment="d")


@given(st.text(alphabet="/azureopindlymts?=&-v1.%", max_size=40))
def test_any_path_is_read_or_left_alone(path: str) -> None:
    url = f"https://x.openai.azure.com/{path}"
    place = azure_place(without_route(url))
    assert place is None or place.url.startswith("https://x.openai.azure.com")


def test_a_deployment_is_reached_from_the_command_line(
    endpoint: EndpointServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    url = f"{root(endpoint)}/openai/deployments/eu-1/chat/completions?api-version={VERSION}"
    small = ("--n", 1, "--set", "participants=2", "--set", "max_turns=3", *INVENTED)
    ended = convogen("run", "demo", *small, "--model", "m", "--base-url", url, "--out", tmp_path)
    assert ended.status == 0, ended.err
    asked = endpoint.asked[0]
    assert asked.path == "/openai/deployments/eu-1/chat/completions"
    assert (asked.headers["api-key"], asked.query) == (KEY, {"api-version": VERSION})
    again = Experiment.load(tmp_path / "experiment.yaml").model("agent")
    assert again.azure == Azure(api_version=VERSION, deployment="eu-1")


def test_azures_openai_v1_takes_azures_key(monkeypatch: pytest.MonkeyPatch) -> None:
    from convogen.models.backends.account import Account

    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    account = Account.of(ModelSpec(name="m", base_url="https://x.openai.azure.com/openai/v1"))
    assert (account.key, account.api_version) == (KEY, None)


class TestHeaders:
    def test_they_are_sent_with_their_secrets_from_the_environment(
        self, endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GATEWAY", "marked-gateway-token")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-marked")
        headers = {"X-Team": "blue", "X-Gateway-Token": "T {{ env.GATEWAY }}"}
        ask(base_url=endpoint.base_url, headers=headers)
        sent = endpoint.asked[0].headers
        assert (sent["X-Team"], sent["X-Gateway-Token"]) == ("blue", "T marked-gateway-token")
        assert sent["Authorization"] == "Bearer sk-marked"

    @pytest.mark.parametrize("name", ["Authorization", "authorization"])
    def test_a_key_of_one_s_own_takes_the_place_of_the_other(
        self, endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv("GATEWAY", "marked-gateway-token")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-marked")
        endpoint.script = lambda asked: refuse(401, f"not {asked.headers['Authorization']}")
        with pytest.raises(EndpointDown, match=r"set GATEWAY to a valid key") as caught:
            ask(base_url=endpoint.base_url, headers={name: "Token {{ env.GATEWAY }}"})
        assert endpoint.asked[0].headers.getall("Authorization") == ["Token marked-gateway-token"]
        assert "marked" not in str(caught.value)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Authorization": "Bearer sk-marked"},
            {"X-Api-Key": "sk-marked"},
            {"Cookie": "session=sk-marked"},
            {"X-A": "b\r\nX-C: d"},
            {"X-A\r\nX-C": "d"},
            {"Host": "elsewhere"},
            {"content-length": "0"},
            {"X-A": "{{ message }}"},
            {"X-A": "{{ env.A"},
        ],
    )
    def test_secrets_and_what_is_no_header_are_refused_without_being_quoted(
        self, headers: dict[str, str]
    ) -> None:
        with pytest.raises(ValidationError):
            ModelSpec(name="m", headers=headers)
        with pytest.raises(ExperimentError) as caught:
            Experiment({"name": "own", "models": {"default": {"name": "m", "headers": headers}}})
        assert "sk-marked" not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_pasted_secret_of_a_chatbot_is_not_quoted_either(self) -> None:
        http = {"url": "http://h/a", "body": {"q": "{{ message }}"}, "answer": "a"}
        for more in ({"headers": {"X-Key": "sk-marked"}}, {"body": {"token": "sk-marked"}}):
            models = {"default": {"name": "m", "http": {**http, **more}}}
            with pytest.raises(ExperimentError, match=r"env\.") as caught:
                Experiment({"name": "own", "models": models})
            assert "sk-marked" not in str(caught.value)

    @pytest.mark.parametrize("value", ["a\r\nX-Evil: b", "a\nb", "a\x00b", "é"])
    def test_no_variable_smuggles_a_header_in(
        self, endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        if "\x00" not in value:
            monkeypatch.setenv("OWN", value)
        with pytest.raises(ModelConfigError) as caught:
            ask(base_url=endpoint.base_url, headers={"X-A": "{{ env.OWN }}"})
        assert "Evil" not in str(caught.value)
        assert endpoint.asked == []

    def test_they_stay_out_of_the_fingerprint_and_in_the_file(self, tmp_path: Path) -> None:
        model = {"name": "m", "base_url": "http://h/v1"}
        own = {**model, "headers": {"X-Team": "blue", "X-Key": "{{ env.GATEWAY }}"}}
        plain = Experiment.load("GPFS-s", {"models": model})
        with_headers = Experiment.load("GPFS-s", {"models": own})
        assert plain.fingerprint == with_headers.fingerprint
        (tmp_path / "again.yaml").write_text(with_headers.to_yaml())
        assert Experiment.load(tmp_path / "again.yaml").model("agent").headers == own["headers"]


PAGE = Bytes(b"<html><title>Open WebUI</title></html>", headers={"Content-Type": "text/html"})


@pytest.mark.parametrize(
    "answer",
    [
        refuse(404, "404 page not found"),
        refuse(405, "Method Not Allowed"),
        PAGE,
        Bytes(b'{"error": "Unexpected endpoint or method. (POST /chat/completions)"}'),
    ],
)
def test_an_address_without_v1_is_said_to_lack_it(endpoint: EndpointServer, answer: Answer) -> None:
    endpoint.script = lambda _: answer
    with pytest.raises(ModelConfigError) as caught:
        ask(base_url=root(endpoint))
    assert f"try --base-url {endpoint.base_url}" in str(caught.value)
    assert len(endpoint.asked) == 1


def test_one_with_v1_is_not(endpoint: EndpointServer) -> None:
    endpoint.script = lambda _: refuse(404, "Not Found")
    with pytest.raises(ModelConfigError) as caught:
        ask(base_url=endpoint.base_url)
    assert "end in /v1" not in str(caught.value)


def test_a_time_out_names_the_key_that_gives_longer(endpoint: EndpointServer) -> None:
    endpoint.script = lambda _: Silence()
    with pytest.raises(Transient, match=r"within 0.3 s; increase timeout_s for model gpt-4o"):
        ask(base_url=endpoint.base_url, timeout_s=0.3)


SMALL = ("--n", 1, "--set", "participants=2", "--set", "max_turns=3", *INVENTED)


@pytest.mark.parametrize(
    "vary",
    [
        ("--vary", "models.agent=model-a,model-b"),
        ("--vary", "models.agent.name=model-a,model-b"),
        ("--vary", "models=model-a,model-b"),
        ("--vary", "models.agent={name: model-a},{name: model-b, timeout_s: 30}"),
        ("--vary", "models.agent,models.selector=[model-a,model-b],[model-b,model-a]"),
    ],
)
@pytest.mark.parametrize("named", [(), ("--model", "model-c")])
def test_models_that_vary_keep_the_base_url(
    endpoint: EndpointServer, tmp_path: Path, vary: tuple[str, str], named: tuple[str, ...]
) -> None:
    if vary[1].startswith("models=") and named:
        pytest.skip("both settings name the same model")
    where = ("--base-url", endpoint.base_url, "--out", tmp_path, "--json")
    ended = convogen("ablate", "demo", *SMALL, *named, *vary, *where)
    assert ended.status == 0, ended.err
    asked = {asked.body["model"] for asked in endpoint.asked}
    assert {"model-a", "model-b"} <= asked
    for cell in json.loads(ended.out)["cells"].values():
        models = load_run(cell["run"]).manifest["models"]
        assert {one.get("base_url") for one in models.values()} == {endpoint.base_url}


def test_a_base_url_given_with_the_model_goes_over_the_option(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    own = f"models.agent={{name: model-a, base_url: {endpoint.base_url}/own/v1}}"
    ended = convogen(
        "run", "demo", *SMALL, "--set", own, "--base-url", endpoint.base_url, "--out", tmp_path
    )
    assert "/v1/own/v1" in ended.err


def test_a_model_in_this_process_is_not_looked_for_at_the_base_url(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    set_ = ("--set", "models.selector=scripted", "--base-url", endpoint.base_url)
    ended = convogen("run", "demo", *SMALL, *set_, "--model", "m", "--out", tmp_path)
    assert ended.status == 0, ended.err
    assert load_run(tmp_path).manifest["models"]["selector"]["kind"] == "scripted"


def test_a_hopeless_context_names_the_way_out_in_the_record(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    def script(asked: Asked) -> Answer:
        return refuse(400, "maximum context length is 64") if asked.nth == 1 else converse(asked)

    endpoint.script = script
    where = ("--model", "m", "--base-url", endpoint.base_url, "--concurrency", 1)
    ended = convogen("run", "demo", *SMALL, *where, "--out", tmp_path)
    assert ended.status == 0, ended.err
    [failure] = load_run(tmp_path).failures()
    assert failure.kind == "context_length"
