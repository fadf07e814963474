"""Real fine-tuning of a tiny model with random weights."""

from __future__ import annotations

import json
import math
import urllib.request
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen, python_process
from endpoint_server import EndpointServer, say
from gguf_model import write_tiny_gguf
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.corpora.seeds import Seed, Seeds, open_seeds
from convogen.downstream.task_summaries import write_tasks
from convogen.errors import BudgetReached, ModelConfigError, RunFolderError, SourceError
from convogen.methods.dialogueforge.play import inquirer_chat
from convogen.models.backends.scripted import Script, ScriptedModel
from convogen.models.base import Message, ModelReply, Request
from convogen.models.spec import ModelSpec
from convogen.models.traffic.budget import Limits
from convogen.records import Turn, Usage
from convogen.training.dialogues import IGNORED, TokenData, encode, encode_all
from convogen.training.lessons import (
    Lesson,
    Lessons,
    inquirer_lessons,
    inquirer_prompts,
    unshared,
)
from convogen.training.loading import load_trainable
from convogen.training.perplexity import perplexity
from convogen.training.settings import Settings
from convogen.training.tuning import TrainingPlan, fine_tune, without_task
from convogen.training.turn_samples import encode_turns

pytestmark = [
    pytest.mark.skipif(not find_spec("trl"), reason="needs convogen[train]"),
    pytest.mark.usefixtures("training_libraries"),
]

STEPS = 6
QUICK = {"steps": STEPS, "accumulation": 1, "learning_rate": 0.02, "save_every": 2, "block": 4096}


def dialogue(key: str, *said: str) -> dict[str, Any]:
    turns = [{"role": ("human", "bot")[at % 2], "content": text} for at, text in enumerate(said)]
    return {"conversation_id": key, "conversation": turns, "task_summary": "You want to cook."}


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


TRAIN = [
    dialogue(f"t{at}", f"how do i cook {at} eggs", "Boil them.", "how long?", "Six minutes.")
    for at in range(6)
]
HELD_OUT = [
    dialogue(f"h{at}", f"how do i bake {at} loaves", "In an oven.", "how hot?", "Very.")
    for at in range(3)
]
SHARED = dialogue("x", "how do i bake 1 loaves", "In a pan.")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("base") / "tiny.gguf")


@pytest.fixture(scope="module")
def tokenizer(base: Path) -> Any:
    return load_trainable(str(base))[1]


@pytest.fixture(scope="module")
def plan(base: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingPlan:
    folder = tmp_path_factory.mktemp("data")
    train = write(folder / "train.jsonl", [*TRAIN, SHARED])
    held_out = write(folder / "held.jsonl", HELD_OUT)
    return TrainingPlan(str(base), train, held_out, Settings.load(None, QUICK))


@pytest.fixture(scope="module")
def trained(plan: TrainingPlan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "eggs"
    fine_tune(replace(plan, merge=True, gguf=True, licence="CC-BY-4.0"), folder)
    return folder


def chat_of(seed: Seed) -> tuple[Message, ...]:
    task = seed.task or "You want it."
    return tuple(inquirer_chat(inquirer_prompts(), task, seed.turns, conclude=False))


def lessons_of(plan: TrainingPlan) -> tuple[Lesson, ...]:
    return inquirer_lessons(open_seeds(plan.train, None, 2)).lessons


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30).map(
    lambda text: text.strip()
)


@settings(max_examples=40, deadline=None)
@given(said=st.lists(words, min_size=1, max_size=5))
def test_only_the_persons_words_and_their_end_are_targets(tokenizer: Any, said: list[str]) -> None:
    turns = tuple(
        Turn(speaker=("user", "assistant")[at % 2], text=text) for at, text in enumerate(said)
    )
    encoded = encode(tokenizer, chat_of(Seed("s", "You want bread.", turns)))
    pairs = list(zip(encoded.input_ids, encoded.labels, strict=True))
    assert all(label in (token, IGNORED) for token, label in pairs)
    targets = [token for token, label in pairs if label != IGNORED]
    others = tokenizer.decode([token for token, label in pairs if label == IGNORED])
    assert tokenizer.decode(targets) == "".join(f"{text}<|im_end|>" for text in said[::2])
    assert "You want bread." in others
    assert all(text in others for text in said[1::2])


def test_before_a_target_is_what_the_served_model_is_asked_with(tokenizer: Any) -> None:
    chat = [Message("system", "s"), Message("user", "u"), Message("assistant", "mine")]
    encoded = encode(tokenizer, chat)
    asked = tokenizer.apply_chat_template(
        [{"role": message.role, "content": message.content} for message in chat[:-1]],
        add_generation_prompt=True,
        return_dict=False,
    )
    first = next(at for at, label in enumerate(encoded.labels) if label != IGNORED)
    assert encoded.input_ids[:first] == asked


def test_a_template_that_rewrites_what_was_said_is_refused(tokenizer: Any) -> None:
    whole = tokenizer.chat_template
    tokenizer.chat_template = "{{ messages | length }}: {{ messages[-1]['content'] }}"
    try:
        with pytest.raises(ModelConfigError, match="only appends"):
            encode(
                tokenizer, [Message("user", "u"), Message("assistant", "a"), Message("user", "b")]
            )
    finally:
        tokenizer.chat_template = whole


HEAD = (
    "{% set system = messages[0]['content'] if messages[0]['role'] == 'system' else '' %}"
    "{% set turns = messages[1:] if system else messages %}"
)
TURNS = (
    "{% for message in turns %}{% if message['role'] == 'user' %}[INST] "
    "{% if loop.WHERE and system %}{{ system }}\n\n{% endif %}{{ message['content'] }}[/INST]"
    "{% else %} {{ message['content'] }}<|im_end|>{% endif %}{% endfor %}"
)
MOVES = HEAD + TURNS.replace("WHERE", "last")
REFUSES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + MOVES
LEAVES_OUT = HEAD + TURNS.replace("loop.WHERE", "false")
KEEPS = HEAD + TURNS.replace("WHERE", "first")


@pytest.mark.parametrize(
    ("template", "folded"), [(MOVES, True), (REFUSES, True), (LEAVES_OUT, True), (KEEPS, False)]
)
def test_a_template_without_a_system_message_has_it_in_the_first(
    tokenizer: Any, plan: TrainingPlan, template: str, folded: bool
) -> None:
    whole = tokenizer.chat_template
    tokenizer.chat_template = template
    try:
        data = encode_turns(tokenizer, lessons_of(plan), 10**6)
        short = encode_turns(tokenizer, lessons_of(plan), len(data.rows[1].input_ids) - 5)
    finally:
        tokenizer.chat_template = whole
    assert data.system_folded is folded
    assert "You want to cook." in tokenizer.decode(short.rows[1].input_ids)
    row = data.rows[1]
    text = tokenizer.decode(row.input_ids)
    assert text.index("You want to cook.") < text.index("Type your first message")
    assert text.count("You want to cook.") == 1
    said = tokenizer.decode([label for label in row.labels if label != IGNORED])
    assert said == " how long?<|im_end|>"


def test_what_a_block_cuts_off_is_counted(tokenizer: Any, plan: TrainingPlan) -> None:
    lessons = [replace(one, chats=tuple(one.chats)[-1:]) for one in lessons_of(plan)]
    whole = encode_all(tokenizer, lessons, 10**6)
    assert whole.truncated == whole.without_target == whole.cut_targets == 0
    block = max(at for row in whole.rows for at, label in enumerate(row.labels) if label >= 0)
    assert (whole.counts()["dialogues"], whole.counts()["samples"]) == (len(lessons),) * 2
    twice = [replace(one, chats=[*one.chats] * 2) for one in lessons]
    found = encode_all(tokenizer, twice, 10**6).counts()
    assert (found["dialogues"], found["samples"]) == (len(lessons), 2 * len(lessons))
    cut = encode_all(tokenizer, lessons, block)
    assert cut.truncated > 0
    assert cut.cut_targets > 0
    assert all(len(row.input_ids) <= block for row in cut.rows)
    assert cut.counts()["targets"] + cut.cut_targets == whole.counts()["targets"]
    assert cut.counts()["tokens"] + cut.cut_tokens == whole.counts()["tokens"]
    assert encode_all(tokenizer, lessons, 20).without_target == len(lessons)


CHATTER = [f"{at} and what about it then" if at % 2 == 0 else f"{at} " * 40 for at in range(9)]


def chatty(said: list[str]) -> Lessons:
    turns = tuple(
        Turn(speaker=("user", "assistant")[at % 2], text=text) for at, text in enumerate(said)
    )
    return inquirer_lessons(Seeds("made", None, (Seed("s", "You cook.", turns),), {}, "0"))


def targets_of(tokenizer: Any, data: TokenData) -> list[str]:
    rows = data.rows
    return [tokenizer.decode([at for at in row.labels if at != IGNORED]) for row in rows]


def test_each_turn_of_the_person_is_a_sample_with_the_system_part_and_what_fits(
    tokenizer: Any,
) -> None:
    """Later turns lose more of the dialogue's beginning, but no turn is lost."""
    lessons = chatty(CHATTER).lessons
    whole = encode_turns(tokenizer, lessons, 10**6)
    expected = [f"{text}<|im_end|>" for text in CHATTER[::2]]
    assert targets_of(tokenizer, whole) == expected
    assert (whole.truncated, whole.counts()["dialogues"], whole.counts()["samples"]) == (0, 1, 5)
    block = len(whole.rows[1].input_ids)
    cut = encode_turns(tokenizer, lessons, block)
    assert targets_of(tokenizer, cut) == expected
    assert (cut.truncated, cut.cut_targets, cut.without_target) == (3, 0, 0)
    last = tokenizer.decode(cut.rows[-1].input_ids)
    assert len(cut.rows[-1].input_ids) == block
    assert "You cook." in last
    assert "Type your first message" in last
    assert CHATTER[0] not in last
    assert last.rstrip().endswith(expected[-1])
    assert "7 7 7" in last


def test_of_a_message_that_does_not_fit_its_beginning_is_learned(tokenizer: Any) -> None:
    lessons = chatty(["hello", "Hi.", "word " * 4000]).lessons
    head = len(encode_turns(tokenizer, lessons, 10**6).rows[0].input_ids)
    data = encode_turns(tokenizer, lessons, head + 60)
    assert [len(row.input_ids) for row in data.rows] == [head, head + 60]
    row = data.rows[1]
    told = tokenizer.decode(row.input_ids)
    assert told.count("<|im_start|>assistant\nword word") == 1
    assert 20 < row.targets < 80
    assert data.cut_targets > 0
    assert encode_turns(tokenizer, lessons, 20).without_target == 2


@settings(max_examples=30, deadline=None)
@given(said=st.lists(words, min_size=1, max_size=5), block=st.integers(16, 700))
def test_no_block_makes_a_sample_that_is_longer_or_another_target(
    tokenizer: Any, said: list[str], block: int
) -> None:
    whole = encode_turns(tokenizer, chatty(said).lessons, 10**6)
    cut = encode_turns(tokenizer, chatty(said).lessons, block)
    assert all(len(row.input_ids) <= block for row in cut.rows)
    assert cut.without_target + len(cut.rows) == len(whole.rows)
    assert cut.counts()["targets"] + cut.cut_targets == whole.counts()["targets"]
    ends = targets_of(tokenizer, whole)[cut.without_target :]
    if cut.without_target == 0:
        pairs = zip(targets_of(tokenizer, cut), ends, strict=True)
        assert all(whole_target.startswith(target) for target, whole_target in pairs)


SEEDS = Path(__file__).parents[3] / "shared/data/dialogueforge/seeds"


@pytest.mark.skipif(not SEEDS.exists(), reason="the DialogueForge seeds are missing")
@pytest.mark.parametrize("name", ["oasst1_en_min_6_turns_summary", "arena_model_a_summaries"])
def test_of_the_papers_dialogues_hardly_a_target_is_lost(
    tokenizer: Any, name: str, tmp_path: Path
) -> None:
    """Truncated dialogues lose many targets; samples of single turns lose only what is too long
    itself.

    The tokens are bytes, and 4,096 of them correspond to about 1,024 tokens in the paper.
    """
    rows = (SEEDS / f"{name}.jsonl").read_text("utf-8").splitlines()[:25]
    file = tmp_path / "seeds.jsonl"
    file.write_text("\n".join(rows), "utf-8")
    lessons = inquirer_lessons(open_seeds(str(file), None, 6)).lessons
    turns = encode_turns(tokenizer, lessons, 4096)
    assert turns.without_target == 0
    dialogues = encode_all(
        tokenizer, [replace(one, chats=tuple(one.chats)[-1:]) for one in lessons], 4096
    )
    assert dialogues.cut_targets > turns.cut_targets


def made(*seeds: tuple[str, str]) -> Lessons:
    told = tuple(
        Seed(key, None, (Turn(speaker="user", text=said), Turn(speaker="assistant", text="a")))
        for key, said in seeds
    )
    return inquirer_lessons(Seeds("made", None, told, {}, "0"))


def test_no_dialogue_of_the_held_out_corpus_is_trained_on() -> None:
    train = made(("a", "one"), ("b", "Two  words"), ("c", "three"))
    left = unshared(train, made(("a", "other"), ("z", "two words")))
    assert [one.id for one in left] == ["c"]
    with pytest.raises(SourceError, match="hold out another"):
        unshared(train, train)


def test_perplexity_weighs_tokens_not_dialogues(base: Path, plan: TrainingPlan) -> None:
    import torch

    model, tokenizer = load_trainable(str(base))
    rows = encode_all(tokenizer, lessons_of(plan), 4096).rows
    total = 0.0
    for row in rows:
        ids, labels = torch.tensor([row.input_ids]), torch.tensor([row.labels])
        total += model(input_ids=ids, labels=labels).loss.item() * row.targets
    targets = sum(row.targets for row in rows)
    found = perplexity(model, rows)
    assert found.targets == targets
    assert found.value == pytest.approx(math.exp(total / targets), rel=1e-4)


def test_nothing_has_no_perplexity(base: Path) -> None:
    with pytest.raises(SourceError, match="no target"):
        perplexity(load_trainable(str(base))[0], [])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("block=16", "train.jsonl: in every dialogue, the first 16 tokens"),
        ("target_modules=nosuch", "target_modules 'nosuch': do not fit this model"),
        ("target_modules=(", "target_modules '(': do not fit this model"),
        ("optimizer=nosuch", "optimizer nosuch, precision fp16: cannot be used ("),
    ],
)
def test_a_mistake_leaves_the_folder_free(
    plan: TrainingPlan, tmp_path: Path, wrong: str, said: str
) -> None:
    data = [plan.train, "--held-out", plan.held_out, "--base", plan.base, "--out", tmp_path / "out"]
    ended = convogen("train", *data, "--set", wrong)
    assert ended.status == 2
    assert said in ended.err.splitlines()[-1]
    assert list((tmp_path / "out").glob("*.json*")) == []
    assert not (tmp_path / "out/checkpoints").exists()


def untold(folder: Path) -> tuple[str, str]:
    """Write files like those of the plan, in which one dialogue each has no task."""
    names: list[str] = []
    for name, rows in (("train", TRAIN), ("held", HELD_OUT)):
        first = {key: value for key, value in rows[0].items() if key != "task_summary"}
        names.append(write(folder / f"{name}.jsonl", [first, *rows[1:]]))
    return names[0], names[1]


def summaries(asked: list[Request]) -> Script:
    def script(request: Request) -> str:
        asked.append(request)
        return "You want to know how to boil eggs or bake loaves."

    return script


def test_the_summarizer_is_asked_once_for_the_tasks_that_a_corpus_lacks(
    plan: TrainingPlan, tmp_path: Path
) -> None:
    train, held_out = untold(tmp_path)
    plan = replace(plan, train=train, held_out=held_out)
    seeds = without_task(plan)
    assert [seed.id for seed in seeds] == ["t0", "h0"]
    asked: list[Request] = []
    spec, folder = ModelSpec(name="scripted"), tmp_path / "task-summaries"

    def tasks_of(chosen: list[Seed]) -> dict[str, str]:
        opener = lambda _: ScriptedModel(summaries(asked))  # noqa: E731
        return write_tasks(chosen, spec, folder, opener=opener)

    assert tasks_of(seeds[:1]) == {"t0": "You want to know how to boil eggs or bake loaves."}
    assert [request.role for request in asked] == ["summarizer"]
    tasks = tasks_of(seeds)
    assert (len(asked), list(tasks)) == (2, ["t0", "h0"])
    assert tasks_of(list(reversed(seeds))) == tasks
    assert len(asked) == 2
    assert without_task(replace(plan, tasks=tasks)) == []
    [lesson, *_] = inquirer_lessons(open_seeds(train, None, 2), tasks).lessons
    assert "boil eggs or bake loaves" in tuple(lesson.chats)[-1][0].content


def test_a_dialogue_whose_task_nobody_finds_is_learned_without_it(tmp_path: Path) -> None:
    train, _ = untold(tmp_path)
    [seed] = [one for one in open_seeds(train, None, 2).seeds if one.task is None]
    opener = lambda _: ScriptedModel(lambda _: "I cannot say.")  # noqa: E731
    spec = ModelSpec(name="scripted")
    assert write_tasks([seed], spec, tmp_path / "tasks", opener=opener) == {}
    lesson = inquirer_lessons(open_seeds(train, None, 2)).lessons[0]
    assert lesson.untold == seed


def test_train_has_the_missing_tasks_written_and_says_so(
    plan: TrainingPlan, tmp_path: Path, endpoint: EndpointServer
) -> None:
    train, held_out = untold(tmp_path)
    endpoint.script = lambda _: say("You want to know how to boil eggs or bake loaves.")
    data = [train, "--held-out", held_out, "--base", plan.base, "--set", "block=4096"]
    model = ["--model", "m", "--base-url", endpoint.base_url]
    one_step = ["--steps", "1"]
    ended = convogen("train", *data, *model, *one_step, "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text("utf-8"))
    part = manifest["data"]["train"]
    assert (part["dialogues"], part["samples"], part["without_task"]) == (6, 12, 0)
    assert "samples" in manifest["training"]
    before = len(endpoint.asked)
    assert "2 dialogues without a task_summary will be summarised by m;" in ended.err
    assert before >= 2
    again = convogen("train", *data, *model, *one_step, "--out", tmp_path / "out")
    assert again.status == 0, again.err
    assert len(endpoint.asked) == before
    agents = convogen("train", *data, "--learn", "agents", "--model", "m")
    assert "require --learn inquirer" in agents.complaint


def test_the_summarizer_keeps_to_a_budget_and_goes_on_with_a_larger_one(
    plan: TrainingPlan, tmp_path: Path
) -> None:
    train, held_out = untold(tmp_path)
    seeds = without_task(replace(plan, train=train, held_out=held_out))
    asked: list[Request] = []
    spec = ModelSpec(name="scripted")

    def script(request: Request) -> ModelReply:
        asked.append(request)
        text = "You want to know how to boil eggs or bake loaves."
        return ModelReply(text, Usage(prompt_tokens=1_000, completion_tokens=20), "stop")

    def tasks_of(limits: Limits) -> dict[str, str]:
        opener = lambda _: ScriptedModel(script)  # noqa: E731
        return write_tasks(seeds, spec, tmp_path / "tasks", opener=opener, limits=limits)

    with pytest.raises(
        BudgetReached, match=r"of 2 items .* with a larger --budget-tokens"
    ) as ended:
        tasks_of(Limits(tokens=1_500))
    assert ended.value.option == "--budget-tokens"
    assert len(asked) == 1
    with pytest.raises(
        BudgetReached, match="1,020 of 1,500 tokens spent"
    ):  # the tokens of the first start
        tasks_of(Limits(tokens=1_500))
    assert len(asked) == 1
    assert set(tasks_of(Limits(tokens=9_000))) == {"t0", "h0"}
    assert len(asked) == 2


def test_a_budget_in_dollars_needs_the_summarizers_price(
    plan: TrainingPlan, tmp_path: Path, endpoint: EndpointServer
) -> None:
    train, held_out = untold(tmp_path)
    data = [train, "--held-out", held_out, "--base", plan.base, "--out", tmp_path / "out"]
    model = ["--model", "m", "--base-url", endpoint.base_url, "--budget-usd", "0.0001"]
    ended = convogen("train", *data, *model)
    assert ended.status == 2
    assert "needs the price of m" in ended.err.splitlines()[-1]
    ended = convogen("train", *data, *model, "--price", "10,10")
    assert ended.status == 1
    assert "with a larger --budget-usd" in ended.err.splitlines()[-1]
    assert endpoint.asked == []
    agents = convogen("train", *data, "--learn", "agents", "--budget-tokens", "9")
    assert "require --learn inquirer" in agents.complaint


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--from", "FOLDER"], "not a LoRA adapter"),
        (["--base", "a/folder", "--gguf"], "convert_hf_to_gguf"),
        (["--base", "missing.gguf"], "no such file"),
        (["--out", "FOLDER"], "no manifest.json, so convogen did not"),
    ],
)
def test_nobody_is_asked_for_a_training_that_cannot_begin(
    tmp_path: Path, endpoint: EndpointServer, more: list[str], complaint: str
) -> None:
    train, held_out = untold(tmp_path)
    options = [tmp_path if word == "FOLDER" else word for word in more]
    model = ["--model", "m", "--base-url", endpoint.base_url, "--out", tmp_path / "out"]
    ended = convogen("train", train, "--held-out", held_out, *model, *options)
    assert ended.status == 2
    assert complaint in ended.complaint
    assert endpoint.asked == []


def test_training_lowers_the_perplexity_of_the_other_corpus(trained: Path) -> None:
    manifest = json.loads((trained / "manifest.json").read_text("utf-8"))
    assert manifest["complete"] is True
    assert manifest["system_folded"] is False
    before, after = (manifest["perplexity"][when] for when in ("before", "after"))
    assert after["value"] < 0.9 * before["value"]
    assert before["targets"] == after["targets"] > 0
    assert manifest["data"]["shared_left_out"] == 1
    assert manifest["data"]["train"]["dialogues"] == len(TRAIN)
    assert manifest["data"]["licence"] == "CC-BY-4.0"
    assert len(manifest["training"]["base"]["sha256"]) == 64
    log = [json.loads(line) for line in (trained / "log.jsonl").read_text("utf-8").splitlines()]
    assert [row["step"] for row in log] == list(range(1, STEPS + 1))
    assert all(row["loss"] > 0 for row in log)
    assert not (trained / "checkpoints").exists()


def test_both_perplexities_are_measured_in_the_same_precision(
    plan: TrainingPlan, tmp_path: Path
) -> None:
    still = QUICK | {"steps": 1, "learning_rate": 1e-12, "precision": "bf16"}
    told = fine_tune(replace(plan, settings=Settings.load(None, still)), tmp_path / "still")
    assert told["perplexity"]["after"] == told["perplexity"]["before"]


def test_training_that_was_interrupted_ends_with_the_same_adapter(
    plan: TrainingPlan, trained: Path, tmp_path: Path
) -> None:
    steps: list[int] = []
    stages: list[str] = []

    def follow(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        if stage == "training":
            steps.append(done)
            if steps == [1, 2, 3, 4, 5]:
                raise KeyboardInterrupt

    folder = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        fine_tune(plan, folder, progress=follow)
    fine_tune(plan, folder, progress=follow)
    assert steps == [1, 2, 3, 4, 5, 5, 6]
    weights = "adapter/adapter_model.safetensors"
    assert (folder / weights).read_bytes() == (trained / weights).read_bytes()
    log = (folder / "log.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2, 3, 4, 5, 6]

    stages.clear()
    fine_tune(replace(plan, gguf=True), folder, progress=follow)
    assert stages == ["loading", "writing again.gguf, lora.gguf"]
    assert (folder / "lora.gguf").read_bytes() == (trained / "lora.gguf").read_bytes()
    assert (folder / "again.gguf").read_bytes() == (trained / "eggs.gguf").read_bytes()
    with pytest.raises(RunFolderError, match="learning_rate"):
        fine_tune(replace(plan, settings=Settings.load(None, {})), folder)


def test_a_training_goes_on_from_the_adapter_of_another(
    plan: TrainingPlan, trained: Path, tmp_path: Path
) -> None:
    still = QUICK | {"steps": 1, "learning_rate": 1e-12}
    further = replace(plan, settings=Settings.load(None, still), start=trained)
    told = fine_tune(further, tmp_path / "further")
    earlier = json.loads((trained / "manifest.json").read_text("utf-8"))
    for when in ("before", "after"):
        reached = pytest.approx(earlier["perplexity"]["after"]["value"], rel=1e-4)
        assert told["perplexity"][when]["value"] == reached
    assert len(told["training"]["start"]) == 64


def test_what_is_no_adapter_or_another_shape_is_said_before_anything_is_loaded(
    plan: TrainingPlan, trained: Path, tmp_path: Path
) -> None:
    data = [plan.train, "--held-out", plan.held_out, "--base", plan.base, "--out", tmp_path / "o"]
    ended = convogen("train", *data, "--from", tmp_path)
    assert "not a LoRA adapter" in ended.complaint
    ended = convogen("train", *data, "--from", trained, "--set", "rank=3")
    assert "adapter's rank is" in ended.complaint
    assert "--set rank=" in ended.complaint
    assert not (tmp_path / "o").exists()


def test_the_served_file_says_what_the_trained_model_says(base: Path, trained: Path) -> None:
    pytest.importorskip("xllamacpp", reason="needs convogen[embedded]")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from convogen.models.backends.gguf import serve

    merged = AutoModelForCausalLM.from_pretrained(trained / "merged")
    tokenizer = AutoTokenizer.from_pretrained(trained / "merged")
    prompt = "<|im_start|>user\nhow long do the eggs boil<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
    with torch.inference_mode():
        expected = merged(input_ids=ids).logits[0, -1].softmax(-1)
        untrained = load_trainable(str(base))[0](input_ids=ids).logits[0, -1].softmax(-1)
    found = first_token(serve(trained / "eggs.gguf"), prompt, len(expected))
    served = torch.tensor([math.exp(found.get(at, -math.inf)) for at in range(len(expected))])
    off, moved = (float((one - expected).abs().sum()) / 2 for one in (served, untrained))
    assert moved > 0.2
    assert off < 0.06  # the cost of 8 bits on random weights; with 32 bits, it is 0.0006


def test_llama_cpp_takes_the_adapter_alone(base: Path, trained: Path) -> None:
    llama = pytest.importorskip("xllamacpp", reason="needs convogen[embedded]")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    merged = AutoModelForCausalLM.from_pretrained(trained / "merged")
    tokenizer = AutoTokenizer.from_pretrained(trained / "merged")
    prompt = "<|im_start|>user\nhow long do the eggs boil<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
    with torch.inference_mode():
        expected = merged(input_ids=ids).logits[0, -1].softmax(-1)
    parameters = llama.CommonParams()
    parameters.model.path = str(base)
    parameters.port = 0
    parameters.verbosity = -1
    adapter = llama.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = str(trained / "lora.gguf"), 1.0
    parameters.lora_adapters = [adapter]
    server = llama.Server(parameters)
    found = first_token(f"{server.listening_address}/v1", prompt, len(expected))
    served = torch.tensor([math.exp(found.get(at, -math.inf)) for at in range(len(expected))])
    assert float((served - expected).abs().sum()) / 2 < 0.01


def first_token(url: str, prompt: str, n: int) -> dict[int, float]:
    """Return the log-probability of each token as the first token of a reply."""
    body = {"prompt": prompt, "n_predict": 1, "temperature": 0, "n_probs": n}
    asked = urllib.request.Request(
        f"{url.removesuffix('/v1')}/completion",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked) as answer:
        (first,) = json.load(answer)["completion_probabilities"]
    return {one["id"]: one["logprob"] for one in first["top_logprobs"]}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ["--set", "learning_rte=1"],
            "unknown key 'learning_rte'; did you mean learning_rate? allowed: epochs",
        ),
        (["--set", "precision=int8"], "precision: must be 'fp16', 'bf16' or 'fp32'"),
        (["--base", "missing.gguf"], "model missing.gguf: no such file"),
        (["--base", "a/folder", "--gguf"], "convert_hf_to_gguf"),
        (["--settings", "none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_the_command_line_says_what_can_be_mended(
    plan: TrainingPlan, tmp_path: Path, more: list[str], said: str
) -> None:
    data = [plan.train, "--held-out", plan.held_out, "--out", str(tmp_path / "out")]
    ended = convogen("train", *data, *more)
    assert ended.status == 2
    assert said in ended.complaint


def test_a_wrong_file_is_found_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    wrong = tmp_path / "notes.txt"
    wrong.write_text("hello\n")
    program = (
        "import sys\nfrom convogen.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n"
        "    print('loaded', sorted({'torch', 'transformers', 'trl'} & set(sys.modules)))"
    )
    for place in (wrong, tmp_path / "none.jsonl"):
        ended = python_process("-c", program, "train", place, "--held-out", place)
        assert ended.status == 2
        assert str(place) in ended.complaint
        assert ended.out == "loaded []\n"
