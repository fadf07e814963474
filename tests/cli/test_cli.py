"""The command line from a user's point of view: help, listings, `show`, models and the schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from command_line import PROGRAM, convogen, python_process
from endpoint_server import Asked, Bytes, EndpointServer, refuse, say

from convogen import Experiment, load_run
from convogen.cli.main import COMMANDS
from convogen.experiment.experiment import shipped_experiments
from convogen.resources import EXPERIMENTS

HEAVY = (
    "autogen_agentchat",
    "autogen_core",
    "datasets",
    "httpx2",
    "matplotlib",
    "openai",
    "pandas",
    "pyarrow",
    "scipy",
    "torch",
    "transformers",
    "xllamacpp",
)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVOGEN_MODELS", str(tmp_path / "models"))


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["models", "pull"]])
def test_help(command: list[str]) -> None:
    for option in ("--help", "-h"):
        ended = convogen(*command, option)
        assert ended.status == 0
        assert ended.err == ""
        assert " ".join(["Usage: convogen", *command]) in ended.out
    if not command:
        for name, about in COMMANDS.items():
            assert name in ended.out
            assert about.split(":")[0] in " ".join(ended.out.split())


def test_version() -> None:
    from convogen import __version__

    assert convogen("--version").out.split()[-1] == __version__


@pytest.mark.parametrize(
    ("program", "light"),
    [
        ("import convogen", ()),
        ("from convogen.cli.main import main; main(['--help'])", ("pydantic", "rich", "yaml")),
        ("from convogen.cli.main import main; main(['run', '--help'])", ("pydantic", "rich")),
        ("from convogen.cli.main import main; main(['models'])", ()),
    ],
)
def test_what_is_not_loaded_at_the_start(program: str, light: tuple[str, ...]) -> None:
    check = (
        "import atexit, json, sys; "
        "atexit.register(lambda: print(json.dumps(list(sys.modules)), file=sys.stderr)); "
    )
    ended = python_process("-c", check + program)
    assert ended.status == 0
    loaded = set(json.loads(ended.err.splitlines()[-1]))
    assert "convogen" in loaded
    assert loaded.isdisjoint({*HEAVY, *light})


def test_list() -> None:
    listing = json.loads(convogen("list", "--json").out)
    assert set(shipped_experiments()) == set(listing["experiments"])
    assert "convogen" in listing["methods"]
    assert "everyday" in listing["hubs"]
    assert "smollm2-135m" in listing["models"]
    plain = convogen("list")
    assert plain.status == 0
    for entries in listing.values():
        for name in entries:
            assert name in plain.out


@pytest.fixture
def finished() -> Path:
    """Make a run of two conversations in `run` with the command line."""
    arguments = ["--n", "2", "--set", "max_turns=3", "--model", "scripted", "--out", "run"]
    ended = convogen("run", "demo", *arguments)
    assert ended.status == 0
    assert "2 of 2 conversations" in ended.out
    return Path("run")


def test_show(finished: Path) -> None:
    conversations = list(load_run(finished).conversations())
    summary = json.loads(convogen("show", finished, "--json").out)
    assert summary["conversations"] == 2
    assert summary["turns"] == sum(len(c.turns) for c in conversations) == 6
    assert summary["ended"] == {"max_turns": 2}
    calls = list(load_run(finished).ledger())
    assert sum(row["calls"] for row in summary["ledger"]) == len(calls)
    assert {row["cost_usd"] for row in summary["ledger"]} == {0.0}
    plain = convogen("show", finished)
    assert plain.status == 0
    for word in ("demo", "complete", "2 of 2", "max_turns 2", "generator", "agent"):
        assert word in plain.out


def test_show_a_conversation(finished: Path) -> None:
    conversation = list(load_run(finished).conversations())[1]
    shown = convogen("show", finished, "--conversation", conversation.id)
    assert shown.status == 0
    flat = " ".join(shown.out.split())
    for turn in conversation.turns:
        assert f"{turn.speaker}: {turn.text}" in flat
    as_json = convogen("show", finished, "--conversation", conversation.id, "--json")
    assert json.loads(as_json.out) == conversation.model_dump(mode="json", exclude_none=True)
    sample = convogen("show", finished, "--sample")
    assert next(load_run(finished).conversations()).id in sample.out
    missing = convogen("show", finished, "--conversation", "c-none")
    assert missing.status == 2
    assert "c-none" in missing.complaint


def test_show_says_what_failed_and_why(endpoint: EndpointServer) -> None:
    def script(asked: Asked) -> Bytes:
        if "Invent one experience" in asked.body["messages"][-1]["content"]:
            return say("[bold]no object[/] here")
        return say("Write the whole thing? No.")

    endpoint.script = script
    arguments = ["--model", "m", "--base-url", endpoint.base_url, "--n", "1", "--out", "run"]
    ended = convogen("run", "GPFS-s", *arguments, "--set", "max_failures=1", "--concurrency", "1")
    assert ended.status == 1
    for word in ("max_failures", "convogen show", "2 tasks failed"):
        assert word in ended.complaint
    shown = convogen("show", "run")
    assert shown.status == 0
    assert "experience/experience_invalid 2" in shown.out
    assert "it holds no JSON object" in shown.out
    assert "not complete" in shown.out


def test_run_again_goes_on_and_makes_longer(finished: Path) -> None:
    before = (finished / "conversations.jsonl").read_bytes()
    calls = len(list(load_run(finished).ledger()))
    arguments = ["--set", "max_turns=3", "--model", "scripted", "--out", finished]
    assert convogen("run", "demo", "--n", "2", *arguments).status == 0
    assert len(list(load_run(finished).ledger())) == calls
    assert convogen("run", "demo", "--n", "3", *arguments).status == 0
    after = (finished / "conversations.jsonl").read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == 3


def test_without_a_model_one_line_says_what_it_runs_on() -> None:
    """The line is printed before the first call: an invalid hub ends the run right after it."""
    ended = convogen("run", "GPIS-s", "--set", "experiences=gone")
    notices = [line for line in ended.err.splitlines() if "embedded" in line]
    assert len(notices) == 1
    assert "--model" in notices[0]


def test_a_model_named_on_the_command_line_takes_its_settings_from_there_too(
    endpoint: EndpointServer,
) -> None:
    settings = ["models.default.timeout_s=30", "max_turns=2", "models.default.json_mode=text"]
    chosen = [part for setting in settings for part in ("--set", setting)]
    arguments = ["--model", "m", "--base-url", endpoint.base_url, "--n", "1", "--out", "run"]
    convogen("run", "GPFS-s", *arguments, *chosen, "--set", "max_failures=0")
    written = yaml.safe_load(Path("run/experiment.yaml").read_text())
    assert written["models"]["default"] == {
        "name": "m",
        "base_url": endpoint.base_url,
        "timeout_s": 30.0,
        "json_mode": "text",
    }
    assert {asked.json_mode for asked in endpoint.asked} == {"text"}


def test_repeated_base_urls_are_replicas(endpoint: EndpointServer) -> None:
    """They replace the URLs in the file, which may be outdated. A role has its own URL."""
    other = endpoint.base_url.removesuffix("/v1")
    Path("own.yaml").write_text(
        "name: own\nmodels: {name: m, base_url: 'http://old:1/v1', replicas: ['http://old:2/v1']}\n"
    )
    at = [word for url in (endpoint.base_url, other) for word in ("--base-url", url)]
    selector = ("--base-url", f"selector={other}")
    arguments = ["own.yaml", *at, *selector, "--n", "2", "--set", "max_turns=2", "--out", "run"]
    ended = convogen("run", *arguments)
    assert ended.status == 0, ended.err
    written = yaml.safe_load(Path("run/experiment.yaml").read_text())["models"]
    assert written["default"] == {"name": "m", "base_url": endpoint.base_url, "replicas": [other]}
    assert written["selector"] == {"name": "m", "base_url": other}
    assert {asked.path for asked in endpoint.asked} == {"/v1/chat/completions", "/chat/completions"}


CAST = {"people": [{"name": "Ann", "trait": "calm"}, {"name": "Bo", "trait": "loud"}]}


@pytest.mark.parametrize("refused", [False, True])
def test_doctor(endpoint: EndpointServer, refused: bool) -> None:
    def script(asked: Asked) -> Bytes:
        text = asked.body["messages"][-1]["content"]
        if asked.body.get("logprobs"):
            if refused:
                return refuse(400, "logprobs are not supported")
            token = {"token": "2", "logprob": -0.1}
            return say("2", logprobs={"content": [{**token, "top_logprobs": [token]}]})
        if "as JSON" in text:
            return say(json.dumps({**CAST, "colour": "pink" if refused else "red"}))
        if "remember" in text:
            tokens = 2048 if refused else 5100
            return say("marigold", usage={"prompt_tokens": tokens, "completion_tokens": 3})
        return say("Hello!")

    endpoint.script = script
    arguments = ("doctor", "--model", "m", "--base-url", endpoint.base_url)
    report = json.loads(convogen(*arguments, "--json").out)
    first, structured, *_ = endpoint.asked
    assert [message["role"] for message in first.body["messages"]] == ["system", "user"]
    assert structured.json_mode == "schema"
    assert (report["reachable"], report["says"], report["thinks"]) == (True, "Hello!", False)
    assert report["system_role"] is True
    assert report["json_schema"] is not refused
    assert report["log_probabilities"] is not refused
    assert report["long_prompt"] is not refused
    assert ("num_ctx" in report.get("long_prompt_fault", "")) is refused
    plain = convogen(*arguments)
    assert plain.status == 0
    assert "log probabilities" in plain.out


def test_doctor_of_a_model_that_thinks_and_has_no_system_role(endpoint: EndpointServer) -> None:
    def script(asked: Asked) -> Bytes:
        if asked.body["messages"][0]["role"] == "system":
            return refuse(400, "System role not supported")
        if "remember" in asked.body["messages"][-1]["content"]:
            return refuse(400, "maximum context length is 4096 tokens")
        thought = {"reasoning_content": "Let me see…"}
        return say(None, message=thought, finish_reason="length")

    endpoint.script = script
    arguments = ("doctor", "--model", "m", "--base-url", endpoint.base_url, "--json")
    report = json.loads(convogen(*arguments).out)
    assert (report["system_role"], report["thinks"], report["says"]) == (False, True, "")
    assert "max_tokens" in report["thinking"]
    assert "cut off" in report["json_fault"]
    assert "4096" in report["long_prompt_fault"]


def test_doctor_goes_on_where_the_endpoint_fails_at_one_call(endpoint: EndpointServer) -> None:
    endpoint.script = lambda asked: say("Hello!") if asked.nth == 1 else refuse(500, "boom")
    arguments = ("doctor", "--model", "m", "--base-url", endpoint.base_url, "--json")
    report = json.loads(convogen(*arguments).out)
    assert (report["reachable"], report["says"]) == (True, "Hello!")
    for key in ("json_schema", "log_probabilities", "long_prompt"):
        assert report[key] is False
    for key in ("json_fault", "log_probabilities_fault", "long_prompt_fault", "speed_fault"):
        assert "500: " in report[key]
        assert "boom" in report[key]


def test_doctor_says_what_a_place_lacks_that_is_no_api(endpoint: EndpointServer) -> None:
    endpoint.script = lambda _: Bytes(b'{"status": "ok"}')
    bare = endpoint.base_url.removesuffix("/v1")
    ended = convogen("doctor", "--model", "m", "--base-url", bare)
    assert ended.status == 2
    assert "base URLs end in /v1" in ended.complaint
    ended = convogen("doctor", "--model", "m", "--base-url", endpoint.base_url)
    assert "check that --base-url is a chat API" in ended.complaint


def test_doctor_names_a_key_that_is_wrong_in_a_line(endpoint: EndpointServer) -> None:
    ended = convogen("doctor", "--base-url", "http://h:0/v1")
    assert ended.status == 2
    assert "base_url" in ended.complaint


def test_models_and_pull(tmp_path: Path) -> None:
    good = tmp_path / "tiny.gguf"
    good.write_bytes(b"GGUF and more")
    ended = convogen("models", "pull", good)
    assert ended.status == 0
    assert "--model tiny.gguf" in ended.out
    assert (tmp_path / "models/tiny.gguf").read_bytes() == b"GGUF and more"
    listed = convogen("models")
    assert "smollm2-135m" in listed.out
    assert f"tiny.gguf  {tmp_path / 'models/tiny.gguf'}" in listed.out
    assert convogen("models", "pull", tmp_path / "models/tiny.gguf").status == 0
    assert (tmp_path / "models/tiny.gguf").read_bytes() == b"GGUF and more"


def test_pull_of_a_file_that_is_no_model_leaves_the_one_there(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/tiny.gguf").write_bytes(b"GGUF and more")
    (tmp_path / "tiny.gguf").write_bytes(b"<html>not found</html>")
    ended = convogen("models", "pull", tmp_path / "tiny.gguf")
    assert ended.status == 2
    assert "not a GGUF file" in ended.complaint
    assert (tmp_path / "models/tiny.gguf").read_bytes() == b"GGUF and more"


def test_a_pulled_file_can_be_named_as_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"GGUF")
    ended = convogen("models", "pull", tmp_path / "weights.bin")
    name = ended.out.split()[-1]
    assert Experiment.load("demo", {"models": name}).model("agent").kind == "embedded"
    assert (tmp_path / "models" / name).is_file()


@pytest.mark.parametrize("source", ["gone.gguf", "owner/repository", "."])
def test_pull_of_nothing(source: str) -> None:
    ended = convogen("models", "pull", source)
    assert ended.status == 2
    assert source in ended.complaint
    assert "Hugging Face" in ended.complaint


def test_pull_into_a_folder_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").touch()
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("CONVOGEN_MODELS", str(tmp_path / "taken/models"))
    ended = convogen("models", "pull", tmp_path / "tiny.gguf")
    assert ended.status == 2
    assert "taken" in ended.complaint


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(convogen("schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", shipped_experiments())
def test_the_schema_accepts_every_shipped_experiment(
    validator: jsonschema.Draft202012Validator, name: str
) -> None:
    validator.validate(yaml.safe_load(shipped_experiments()[name].read_text()))
    validator.validate(yaml.safe_load(Experiment.load(name).to_yaml()))


MODEL = {"name": "gpt-4o", "base_url": "http://127.0.0.1/v1"}
KEYS = [
    ({"participants": 3}, True),
    ({"participants": [2, 4]}, True),
    ({"participants": [2, 3, 4]}, False),
    ({"participants": "two"}, False),
    ({"models": "embedded"}, True),
    ({"models": MODEL}, True),
    ({"models": {"default": "gpt-4o", "selector": MODEL}}, True),
    ({"models": 5}, False),
    ({"sampling": {"agent": {"temperature": 0.5}}}, True),
    ({"sampling": {"agent": {"heat": 0.5}}}, False),
    ({"lanes": 0}, False),
    ({"style": "long"}, False),
    ({"colour": "red"}, False),
    ({"method": "augment", "source": "dialogues.jsonl"}, True),
    ({"method": "augment"}, False),
]


@pytest.mark.parametrize(("keys", "allowed"), KEYS)
def test_the_schema_agrees_with_what_is_accepted(
    validator: jsonschema.Draft202012Validator, keys: dict[str, object], allowed: bool
) -> None:
    from convogen.errors import ExperimentError

    Path("my.yaml").write_text(yaml.safe_dump(keys))
    try:
        Experiment.load("my.yaml")
        accepted = True
    except ExperimentError:
        accepted = False
    assert accepted is allowed
    assert validator.is_valid(keys) is allowed


def test_the_schema_file_beside_the_experiments_is_the_one_printed() -> None:
    path = EXPERIMENTS / "experiment.schema.json"
    for shipped in shipped_experiments().values():
        assert f"$schema=../{path.name}" in shipped.read_text("utf-8")
    assert path.read_text("utf-8") == convogen("schema").out


def test_a_reader_that_stops_reading_is_no_error() -> None:
    command = f"{sys.executable} -c 'from convogen.cli.main import main; main()' schema | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr


def test_a_run_in_a_process_of_its_own_prints_its_summary_alone(endpoint: EndpointServer) -> None:
    """Warnings are errors in that process too, and only the summary is printed."""
    arguments = ["--model", "m", "--base-url", endpoint.base_url, "--n", "1", "--out", "run"]
    small = ["--set", "max_turns=2", "--set", "participants=2"]
    ended = python_process("-W", "error", "-c", PROGRAM, "run", "GPFS-s", *arguments, *small)
    assert ended.status == 0, ended.err
    assert ended.err == ""
    assert len(list(load_run("run").conversations())) == 1
