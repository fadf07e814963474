"""Errors that users can correct take one line; unusual but valid names are kept unchanged."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import PROGRAM, convogen, convogen_process, python_process
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen import Experiment, Run, load_run, run
from convogen.generation.structured_output import name_of_a_person
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request
from convogen.storage.run_folder import RunStore
from convogen.text.speakers import one_line

SMALL = ("--n", "1", "--set", "max_turns=2", "--set", "participants=2", "--model", "scripted")
PERSONAS = [{"name": "Ana", "text": "a baker"}, {"name": "Bo", "text": "her neighbour"}]
SEED: dict[str, Any] = {
    "personas": PERSONAS,
    "relations": "neighbours for years",
    "situation": "the bakery is dark this morning",
    "topic": "bread",
    "starter": {"speaker": "Ana", "text": "No bread today."},
}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def small(out: str = "run", *more: object) -> tuple[object, ...]:
    return ("run", "demo", *SMALL, "--out", out, *more)


EXPERIMENTS: dict[str, tuple[str, list[str]]] = {
    "unknown key": ("colour: red", ["my.yaml", "colour", "allowed", "max_turns", "models"]),
    "unknown key of a fallback": (
        "models: {default: {name: x, fallback: [{name: y, naem: z}]}}",
        ["my.yaml", "models.default.fallback.0.naem", "allowed", "base_url"],
    ),
    "unknown key of a chatbot": (
        "models: {default: {name: x, http: {boddy: 1, url: https://b.example, answer: a, "
        'body: {a: "{{ message }}"}}}}',
        ["my.yaml", "models.default.http.boddy", "allowed", "url, headers, body, answer"],
    ),
    "unknown key of sampling": (
        "sampling: {agent: {heat: 1}}",
        ["my.yaml", "sampling.agent.heat", "temperature"],
    ),
    "unknown role": ("sampling: {actor: {top_p: 1}}", ["my.yaml", "actor", "selector"]),
    "unknown prompt": ("prompts: {actor: a.md}", ["my.yaml", "actor", "opening"]),
    "unknown method": ("method: magic", ["magic", "allowed", "convogen"]),
    "wrong type": ("lanes: many", ["my.yaml", "lanes", "whole number", "many"]),
    "out of bounds": ("n: 0", ["my.yaml", "n:", "must be at least 1", "0"]),
    "wrong order": ("participants: [4, 2]", ["my.yaml", "participants", "4", "2"]),
    "null": ("models:", ["my.yaml", "models", "None"]),
    "a number for a key": ("1: 2", ["my.yaml", "1"]),
    "malformed YAML": ("n: [1, 2", ["my.yaml", "line 1", "expected"]),
    "no mapping": ("- n", ["my.yaml", "mapping"]),
    "nothing": ("", ["my.yaml", "mapping"]),
    "a name that is a folder": ("name: ..", ["my.yaml", "name", ".."]),
    "not a URL": ("models: {name: m, base_url: 'http://h:99999'}", ["base_url", "99999"]),
    "a key in the file": ("models: {name: m, api_key: sk-marked}", ["api_key", "api_key_env"]),
    "a key for its variable": ("models: {name: m, api_key_env: sk-marked}", ["api_key_env"]),
    "missing prompt": ("prompts: {agent: gone.md}", ["gone.md", "No such file"]),
    "missing model": ("models: gone.gguf", ["gone.gguf", "convogen models"]),
}


@pytest.mark.parametrize("case", EXPERIMENTS)
def test_a_wrong_experiment(case: str) -> None:
    text, words = EXPERIMENTS[case]
    Path("my.yaml").write_text(text)
    ended = convogen("run", "my.yaml", "--out", "run")
    assert ended.status == 2
    lines = [line for line in ended.err.splitlines() if not line.startswith("no model given,")]
    assert len(lines) == 1
    for word in words:
        assert word in lines[0]
    assert "sk-marked" not in ended.err
    assert not Path("run").exists()


ARGUMENTS: dict[str, tuple[tuple[object, ...], list[str]]] = {
    "missing file": (("run", "gone.yaml"), ["gone.yaml", "no such file"]),
    "unknown experiment": (("run", "GPXX"), ["GPXX", "allowed", "GPIS-s", ".yaml"]),
    "not an experiment": (("run",), ["EXPERIMENT", "convogen run --help"]),
    "unknown command": (("walk",), ["walk", "convogen --help"]),
    "unknown option": (("run", "demo", "--nn", "3"), ["--nn", "--n"]),
    "no number": (("run", "demo", "--n", "x"), ["--n", "x", "whole number"]),
    "no conversation": (("run", "demo", "--n", "0"), ["--n", "0", ">=1"]),
    "--set without value": (small("run", "--set", "lanes"), ["lanes", "KEY=VALUE"]),
    "--set without key": (small("run", "--set", "=2"), ["=2", "KEY=VALUE"]),
    "--set no YAML": (small("run", "--set", "lanes=[1"), ["lanes=[1", "YAML"]),
    "--set unknown key": (
        small("run", "--set", "lanez=2"),
        ["lanez", "did you mean lanes? allowed"],
    ),
    "--set wrong type": (small("run", "--set", "lanes=two"), ["lanes", "two", "whole number"]),
    "--set below a value": (small("run", "--set", "n.x=2"), ["n.x", "keys"]),
    "unknown role of a model": (
        ("run", "demo", "--model", "actor=gpt-4o"),
        ["actor", "allowed", "generator", "agent", "selector"],
    ),
    "no key": (("run", "demo", "--model", "gpt-4o"), ["gpt-4o", "OPENAI_API_KEY", "--base-url"]),
    "not a URL": (("run", "demo", "--base-url", "localhost:8000"), ["localhost:8000", "http://"]),
    "unreachable": (
        ("run", "demo", "--model", "m", "--base-url", "http://127.0.0.1:1/v1"),
        ["127.0.0.1:1", "--base-url", "convogen doctor"],
    ),
    "unreachable doctor": (("doctor", "--base-url", "http://127.0.0.1:1/v1"), ["127.0.0.1:1"]),
    "doctor without a key": (("doctor", "--model", "gpt-4o"), ["gpt-4o", "OPENAI_API_KEY"]),
    "doctor at not a URL": (("doctor", "--base-url", "http://u:pw@h:0/v1"), ["base_url"]),
    "show nothing": (("show", "gone"), ["gone", "manifest.json", "convogen run"]),
    "out below a file": (small("taken/run"), ["taken/run", "Not a directory"]),
    "out is a file": (small("taken"), ["taken", "cannot be created"]),
    "empty hub": (small("run", "--set", "experiences=empty"), ["empty", "at least one", "yaml"]),
    "missing hub": (small("run", "--set", "experiences=gone"), ["gone", "at least one"]),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_a_wrong_argument(case: str) -> None:
    Path("taken").touch()
    Path("empty").mkdir()
    arguments, words = ARGUMENTS[case]
    ended = convogen(*arguments)
    assert ended.status == 2
    for word in words:
        assert word in ended.complaint
    assert "pw" not in ended.err


def test_one_line_without_and_a_traceback_with_debug() -> None:
    Path("my.yaml").write_text("colour: red")
    plain = convogen_process("run", "my.yaml")
    assert plain.status == 2
    assert "colour" in plain.complaint
    debug = convogen_process("--debug", "run", "my.yaml")
    after = convogen("run", "my.yaml", "--debug")
    for ended in (debug, after):
        assert ended.status == 2
        assert "Traceback" in ended.err
        assert "ExperimentError" in ended.err
        assert ended.err.endswith(plain.err)


SEEDS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "two of one name": (
        {"personas": [{"name": "Ana", "text": "x"}, {"name": " ANA", "text": "y"}]},
        ["personas", "ana", "a name of its own"],
    ),
    "starter by a stranger": (
        {"starter": {"speaker": "Zoe", "text": "Hi."}},
        ["starter.speaker", "Zoe", "Ana", "Bo"],
    ),
    "starter without a speaker": ({"starter": {"text": "Hi."}}, ["starter.speaker", "is missing"]),
    "starter that is a text": ({"starter": "Hi."}, ["starter", "Hi."]),
    "no topic": ({"topic": None}, ["topic"]),
    "unknown key": ({"mood": "good"}, ["mood", "allowed", "situation"]),
    "no personas": ({"personas": []}, ["personas", "0", "at least 2"]),
    "one persona": ({"personas": PERSONAS[:1]}, ["personas", "1", "at least 2"]),
    "a number of personas": ({"personas": 5}, ["personas", "list", "5"]),
    "names alone": ({"personas": ["Ana", "Bo"]}, ["personas.1", "mapping", "name"]),
    "no name": ({"personas": [*PERSONAS, {"text": "x"}]}, ["personas.3.name"]),
    "name that is a number": ({"personas": [{"name": 5, "text": "x"}]}, ["personas.1.name", "5"]),
    "card without gender": ({"personas": [{"name": "Ana", "age": 30}]}, ["personas.1.gender"]),
    "card with a stray field": (
        {"personas": [{"name": "Ana", "shoe_size": 41, "age": 3}]},
        ["personas.1."],
    ),
}


@pytest.mark.parametrize("case", SEEDS)
def test_a_wrong_seed_experience(case: str) -> None:
    changes, words = SEEDS[case]
    Path("hub").mkdir()
    Path("hub/good.yaml").write_text(yaml.safe_dump(SEED))
    Path("hub/wrong.yaml").write_text(yaml.safe_dump({**SEED, **changes}))
    ended = convogen(*small("run", "--set", "experiences=hub"))
    assert ended.status == 2
    for word in ["hub/wrong.yaml", *words]:
        assert word in ended.complaint
    assert not Path("run").exists()


@pytest.mark.parametrize("content", [b"personas: [", b"just words", b"\xff\xfe", b""])
def test_a_seed_file_that_is_none(content: bytes) -> None:
    Path("seed.yaml").write_bytes(content)
    ended = convogen(*small("run", "--set", "experiences=seed.yaml"))
    assert ended.status == 2
    assert "seed.yaml" in ended.complaint


HEADER = "---\nvariables: [name]\n---\n[system]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("You are someone.", ["header"]),
        ("---\nvariables: 5\n---\n[user]\nx", ["variables", "5"]),
        ("---\nvariables: [\n---\n[user]\nx", ["header", "YAML"]),
        ("---\nvariables: [name]\n---\nYou are.", ["[system]"]),
        (HEADER + "{{ nam }}", ["nam", "declared so far: name"]),
        (HEADER + "{% if %}", ["line"]),
        (HEADER + "{{ name.age.years }}", ["rendered", "age"]),
        (HEADER + "{{ 1 / 0 }}", ["rendered", "zero"]),
        (HEADER.replace("name", "mood") + "{{ mood }}", ["mood"]),
    ],
)
def test_a_wrong_prompt_of_ones_own(text: str, words: list[str]) -> None:
    Path("agent.md").write_text(text)
    ended = convogen(*small("run", "--set", f"prompts.agent={Path('agent.md').resolve()}"))
    assert ended.status == 2
    for word in ["agent.md", *words]:
        assert word in ended.complaint


def test_a_run_folder_of_another_experiment_names_both_fingerprints() -> None:
    assert convogen(*small()).status == 0
    before = {path.name: path.read_bytes() for path in Path("run").glob("*.*")}
    ended = convogen(*small("run", "--set", "max_words=12"))
    assert ended.status == 2
    other = Experiment.load(
        "demo",
        {"n": 1, "max_turns": 2, "participants": 2, "models": "scripted", "max_words": 12},
    )
    assert load_run("run").manifest["fingerprint"] in ended.complaint
    assert other.fingerprint in ended.complaint
    for word in ("max_words", "14", "12", "--out", "--fresh"):
        assert word in ended.complaint
    assert {path.name: path.read_bytes() for path in Path("run").glob("*.*")} == before


def test_a_locked_run_folder_is_refused_to_a_second_process() -> None:
    assert convogen(*small()).status == 0
    fingerprint = load_run("run").manifest["fingerprint"]
    store = RunStore.open(Path("run"), fingerprint, "", {})
    try:
        second = convogen_process(*small("run", "--n", "2"))
        fresh = convogen_process(*small("run", "--fresh"))
    finally:
        store.close()
    for ended in (second, fresh):
        assert ended.status == 2
        assert "another process" in ended.complaint
    assert len(list(load_run("run").conversations())) == 1
    assert convogen(*small("run", "--n", "2")).status == 0


def test_fresh_moves_nothing_where_the_model_cannot_be_used() -> None:
    assert convogen(*small()).status == 0
    ended = convogen("run", "demo", "--out", "run", "--fresh", "--model", "gpt-4o")
    assert ended.status == 2
    assert len(list(load_run("run").conversations())) == 1
    assert convogen(*small("run", "--fresh")).status == 0
    (aside,) = Path().glob("run.*")
    assert len(list(load_run(aside).conversations())) == 1


ROWS = ("ledger", "calls", "experiences", "conversations", "failures")


@pytest.fixture(scope="module")
def two() -> Any:
    """Yield the folder of a run with two conversations, which is made once per module."""
    folder = Path(tempfile.mkdtemp())
    experiment = Experiment.load(
        "demo", {"n": 2, "max_turns": 2, "participants": 2, "models": "scripted"}
    )
    run(experiment, folder / "run")
    yield folder / "run"
    shutil.rmtree(folder)


def rows(folder: Path) -> dict[str, list[str]]:
    """Return the rows by file; fields that vary between starts are zero in the ledger."""
    found = {name: (folder / f"{name}.jsonl").read_text().splitlines() for name in ROWS[1:]}
    ledger = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    return found | {"ledger": [json.dumps({**r, "seconds": 0, "at": 0}) for r in ledger]}


@pytest.mark.parametrize("tail", [b'{"task": 1, "id', b"\x00\x00\x00", b"\xf0\x9f", b"{}"])
@pytest.mark.parametrize("name", ROWS)
def test_a_torn_last_line_is_cut_and_the_run_goes_on(two: Path, name: str, tail: bytes) -> None:
    shutil.copytree(two, "run")
    with (Path("run") / f"{name}.jsonl").open("ab") as file:
        file.write(tail)
    shown = convogen("show", "run", "--json")
    assert json.loads(shown.out)["conversations"] == 2
    assert convogen(*small("run", "--n", "2")).status == 0
    assert rows(Path("run")) == rows(two)


@pytest.mark.parametrize("name", ROWS[:4])
def test_a_last_line_torn_in_its_middle_is_made_again(two: Path, name: str) -> None:
    shutil.copytree(two, "run")
    path = Path("run") / f"{name}.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    assert convogen(*small("run", "--n", "2")).status == 0
    found, expected = rows(Path("run")), rows(two)
    if name == "calls":  # the torn answer is requested again, so it was paid for twice
        assert "lost_prompt_tokens" in found["ledger"].pop()
    assert found == expected


DAMAGE: dict[str, Callable[[Path], object]] = {
    "ledger.jsonl": lambda path: path.write_bytes(path.read_bytes() + b"changed\n"),
    "experiences.jsonl": lambda path: path.write_bytes(path.read_bytes() + b"changed\n"),
    "conversations.jsonl": lambda path: path.write_bytes(b"changed\n" + path.read_bytes()),
    "failures.jsonl": lambda path: path.write_bytes(b"[]\n"),
    "manifest.json": lambda path: path.write_bytes(b"{"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_named(two: Path, name: str) -> None:
    shutil.copytree(two, "run")
    DAMAGE[name](Path("run") / name)
    ended = convogen("show", "run")
    assert ended.status == 2
    assert name in ended.complaint


@pytest.mark.parametrize("content", [b"changed\n", b"[]\n", b"{}\n"])
def test_a_damaged_journal_is_named(two: Path, content: bytes) -> None:
    shutil.copytree(two, "run")
    Path("run/journal/00000002.jsonl").write_bytes(content)
    Path("run/journal/notes.jsonl").write_bytes(b"not ours\n")
    for ended in (convogen("show", "run"), convogen(*small("run", "--n", "3"))):
        assert ended.status == 2
        assert "00000002.jsonl" in ended.complaint
    Path("run/journal/00000002.jsonl").unlink()
    assert convogen(*small("run", "--n", "3")).status == 0
    assert Path("run/journal/notes.jsonl").exists()


@pytest.mark.parametrize("content", ["[]", "{}", "5", '{"fingerprint": 1, "experiment": 3}'])
def test_a_manifest_of_something_else_is_refused(two: Path, content: str) -> None:
    shutil.copytree(two, "run")
    Path("run/manifest.json").write_text(content)
    ended = convogen(*small("run", "--n", "3"))
    assert ended.status == 2
    assert "run: " in ended.complaint
    assert Path("run/manifest.json").read_text() == content
    assert "Traceback" not in convogen("show", "run").err


def test_a_folder_in_place_of_a_file_is_named(two: Path) -> None:
    shutil.copytree(two, "run")
    Path("run/failures.jsonl").unlink()
    Path("run/failures.jsonl").mkdir()
    ended = convogen("show", "run")
    assert ended.status == 2
    assert "failures.jsonl" in ended.complaint


AWKWARD = [
    "%s %(name)s $name",
    'O\'Brien "the" «Bear»',
    "שרה לוי",
    "李小龍",
    "Ünal Öz",
    "user",
    "System",
    "None",
    "a" * 80,
    "е",  # a Cyrillic letter
]

NO_NAMES = [
    "{name}",
    "{{ name }}",
    "{% raw %}",
    "{0} {history} {}",
    "Ann\nBob",
    "\U0001f600",
    "Person 2",
    "Person_1",
    "-",
    ":",
    "*[",
    "[bold]Ada[/]",
    "\\n",
    "<|im_start|>system",
    "\u200b",
]
"""Names that an invented person must not have."""

GIVEN = [*AWKWARD, *NO_NAMES, "\u202eevil\u202c"]


SAID = "So {x} and %s:"
OTHERS = [f"{name} Vo" for name in "Quin Zed Hale Ira Jem Kip Lou Max".split()]
"""The people of the second experience, who must not share a name with those of the first, its
shot."""


def script_for(names: list[str], seen: list[Request]) -> Callable[[Request], str]:
    """Return a script for experiences of people with these names, which also occur in their cards
    and lines."""
    casts = iter([names])

    def script(request: Request) -> str:
        seen.append(request)
        if request.role == "agent":
            return f"{SAID} {improvise(request)}"
        if request.role == "selector":
            return improvise(request)
        experience, cast = json.loads(improvise(request)), next(casts, OTHERS[: len(names)])
        for persona, name in zip(experience["personas"], cast, strict=True):
            persona |= {"name": name, "lifestyle": f"works as {name}", "speech_style": f"«{name}»"}
        experience["situation"] += f" with {names[-1]}"
        experience["starter"] = {"speaker": cast[-1], "text": "Hello, all {}!"}
        return json.dumps(experience)

    return script


def play(
    names: list[str], folder: Path, selection: str = "auto", **keys: Any
) -> tuple[Run, list[Request]]:
    seen: list[Request] = []
    overrides = {
        "n": 2,
        "participants": len(names),
        "max_turns": 5,
        "per_round": 1,
        "shot_policy": "newest",
        "near_copy": 1.0,
        "speaker_selection": selection,
        "models": "scripted",
        **keys,
    }
    experiment = Experiment.load("GPIS-s", overrides)
    model = ScriptedModel(script_for(names, seen))
    return run(experiment, folder, open_model=lambda _: model), seen


def check(names: list[str], result: Run, seen: list[Request]) -> None:
    """Check that names, cards and lines are unchanged in records, prompts and shots."""
    experiences, conversations = list(result.experiences()), list(result.conversations())
    assert len(conversations) == 2
    casts = (names, OTHERS[: len(names)])
    for cast, experience, conversation in zip(casts, experiences, conversations, strict=True):
        assert [persona.name for persona in experience.personas] == cast
        for persona in experience.personas:
            assert persona.card is not None
            assert persona.card.lifestyle == f"works as {persona.name}"
        assert conversation.participants == cast
        assert conversation.turns[0].speaker == cast[-1]
        assert conversation.turns[0].text == "Hello, all {}!"
        assert len(conversation.turns) == 5
        for turn in conversation.turns[1:]:
            assert turn.speaker in cast
            assert turn.text.startswith(SAID)
    second = [request for request in seen if request.role == "generator"][1]
    shot = json.loads(next(t for t in second.messages[-1].content.split("\n") if t[:1] == "{"))
    assert [persona["name"] for persona in shot["personas"]] == names
    for request in seen:
        if request.role == "agent":
            told = request.messages[0].content
            assert any(f"works as {name}" in told for cast in casts for name in cast)


@pytest.mark.parametrize("selection", ["auto", "round_robin"])
@pytest.mark.parametrize("name", AWKWARD)
def test_an_awkward_persona_goes_through_unchanged(
    tmp_path: Path, name: str, selection: str
) -> None:
    names = [name, "Bo Lind", name + "a" if len(name) < 80 else "b"]
    check(names, *play(names, tmp_path / "run", selection))


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_is_refused_if_it_is_invented(tmp_path: Path, name: str) -> None:
    result, _ = play([name, "Bo Lind"], tmp_path / "run", n=1, reasks=0)
    (failure,) = result.failures()
    assert (failure.stage, failure.kind) == ("experience", "experience_invalid")
    assert "no name of a person" in failure.message
    assert [one.participants for one in result.conversations()] == [OTHERS[:2]]


@pytest.mark.parametrize("name", GIVEN)
def test_an_awkward_name_that_is_given_goes_through_unchanged(tmp_path: Path, name: str) -> None:
    names = [name, "Bo Lind"]
    Path("people.json").write_text(json.dumps([{"name": n, "text": f"is {n}"} for n in names]))
    seen: list[Request] = []

    def script(request: Request) -> str:
        seen.append(request)
        if request.role != "generator":
            return improvise(request)
        starter = {"speaker": name, "text": "Hello, all {}!"}
        return json.dumps({**json.loads(improvise(request)), "starter": starter})

    keys = {"personas": "sampled", "persona_source": "people.json", "participants": 2}
    sizes = {"n": 1, "max_turns": 4, "models": "scripted"}
    experiment = Experiment.load("demo", {**keys, **sizes})
    result = run(experiment, tmp_path / "run", open_model=lambda _: ScriptedModel(script))
    (conversation,) = result.conversations()
    told = "\n".join(message.content for message in seen[-1].messages)
    assert one_line(name) in told
    names = [one_line(each) for each in names]
    assert sorted(conversation.participants) == sorted(names)
    assert conversation.turns[0].speaker == one_line(name)
    assert {turn.speaker for turn in conversation.turns} <= set(names)


def test_awkward_personas_together_are_shown(tmp_path: Path) -> None:
    names = AWKWARD[:8]
    check(names, *play(names, tmp_path / "run"))
    (first, *_) = load_run(tmp_path / "run").conversations()
    shown = convogen("show", "run", "--conversation", first.id)
    assert shown.status == 0
    for name in names:
        assert name.split("\n")[0] in shown.out
    command = ("show", tmp_path / "run", "--conversation", first.id)
    ascii_only = python_process("-W", "error", "-c", PROGRAM, *command, PYTHONIOENCODING="ascii")
    assert ascii_only.status == 0, ascii_only.err


def accepted(name: str) -> str | None:
    try:
        return name_of_a_person(name)
    except ValueError:
        return None


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30).filter(
    lambda name: name == accepted(name)
)


@settings(max_examples=25, deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=4, unique_by=lambda name: name.casefold()))
def test_any_names_go_through_unchanged(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(names, *play(names, Path(folder) / "run"))


def test_awkward_seed_experiences_are_shots_as_they_are_written(tmp_path: Path) -> None:
    Path("hub").mkdir()
    for place, name in enumerate(GIVEN):
        seed = {
            **SEED,
            "personas": [{"name": name, "text": f"is {name}"}, PERSONAS[1]],
            "starter": {"speaker": name, "text": f"I am {name}."},
        }
        Path(f"hub/{place:02}.yaml").write_text(yaml.safe_dump(seed, allow_unicode=True))
    seen: list[Request] = []
    experiment = Experiment.load(
        "GPFS-s",
        {
            "n": 1,
            "participants": 2,
            "max_turns": 2,
            "shots": 8,
            "experiences": "hub",
            "models": "scripted",
        },
    )
    model = ScriptedModel(lambda request: seen.append(request) or improvise(request))
    run(experiment, "run", open_model=lambda _: model)
    prompt = seen[0].messages[-1].content
    shots = [json.loads(line) for line in prompt.split("\n") if line.startswith("{")]
    assert len(shots) == 8
    given_as = {one_line(each): each for each in GIVEN}
    for shot in shots:
        name = shot["personas"][0]["name"]
        assert name in given_as
        assert shot["personas"][0]["text"] == f"is {given_as[name]}"
        assert shot["starter"] == {"speaker": name, "text": f"I am {given_as[name]}."}
