"""The reading of an inquirer's output, and each kind of failure, on manual and random cases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import convogen
from convogen.methods.roleplay.failures import (
    Family,
    faults_of_prompt,
    goes_round,
    is_incoherent,
    misses_stop,
    self_reply_at,
    special_tokens,
    thanks_without_end,
)
from convogen.methods.roleplay.people import families
from convogen.methods.roleplay.play import changed, usable_prompt
from convogen.methods.roleplay.reading import extract_prompt, quoted_texts, stops
from convogen.methods.roleplay.thanks import is_thanks
from convogen.models.base import Message, Sampling, without_system

LLAMA = families()["llama-2"]
GPT = families()["gpt"]
untimed = settings(deadline=None)
PLAIN = st.text(
    st.characters(exclude_characters='"“”„«»`\x00', exclude_categories=["Cs"]), max_size=40
)


@pytest.mark.parametrize(
    ("output", "prompts"),
    [
        ('Sure, here it is: "How fast did I run?".', ["How fast did I run?"]),
        ("“How fast did I run?”", ["How fast did I run?"]),
        ("„Wie schnell lief ich?“", ["Wie schnell lief ich?"]),
        ("“It’s a ‘test’ of “nested” marks” and so on", ["It’s a ‘test’ of “nested” marks"]),
        ("\"Don't say that it's fine\"", ["Don't say that it's fine"]),
        ('"Why does print("hi") fail?"', ['Why does print("hi") fail?']),
        ('"What is f("x", "y") or a["b"]?"', ['What is f("x", "y") or a["b"]?']),
        ('"Is "recursive" the right word?"', ['Is "recursive" the right word?']),
        ('"Mend this: ```\nprint("x")\n``` please"', ['Mend this: ```\nprint("x")\n``` please']),
        ('```\nsay("no")\n```\n"Mend it"', ["Mend it"]),
        ('""How fast did I run?""', ["How fast did I run?"]),
        ('"First?" or rather "Second?"', ["First?", "Second?"]),
        ('“First?” then "Second?"', ["First?", "Second?"]),
        ('"One", "two", "three"', ["One", "two", "three"]),
        ("How fast did I run?", []),
        ('The screen has 5" and 6" across', []),
        ('"How long is a 5" pipe?"', ['How long is a 5" pipe?']),
        ('"Do 5" and 6" pipes fit?"', ['Do 5" and 6" pipes fit?']),
        ('"Is it 5" or "Is it 6"', ["Is it 5", "Is it 6"]),
        ('"How fast?”', ["How fast?"]),
        ('"How fast?” and "How far?"', ["How fast?", "How far?"]),
        ('"Is “recursive” the word?"', ["Is “recursive” the word?"]),
        ('"Is ”recursive” the word?"', ["Is ”recursive” the word?"]),
        ("prompt“How fast?”", ["How fast?"]),
        ('"cut off in the middle of', []),
        ('Nothing in "" or “”', []),
        ("'single quotes do not count'", []),
        ("”backwards“", []),
    ],
)
def test_the_texts_in_double_quotes(output: str, prompts: list[str]) -> None:
    assert quoted_texts(output) == prompts
    assert extract_prompt(output) == (prompts[0] if prompts else None)


@untimed
@given(before=PLAIN, prompt=PLAIN, after=PLAIN, marks=st.sampled_from(['""', "“”", "«»"]))
def test_one_text_in_quotes_is_found_whatever_is_around_it(
    before: str, prompt: str, after: str, marks: str
) -> None:
    output = f"{before} {marks[0]}{prompt}{marks[1]} {after}"
    assert quoted_texts(output) == ([prompt.strip()] if prompt.strip() else [])


@untimed
@given(st.text(alphabet="\"“”„«»`'(= ax\n", max_size=200))
@example("“" * 60_000)
@example('"(' * 40_000)
@example("``" * 60_000 + '"x"')
def test_any_output_is_read_and_what_is_found_stands_in_it(output: str) -> None:
    found = quoted_texts(output)
    assert len(found) <= 100
    assert all(text and text in output for text in found)


@pytest.mark.parametrize(
    ("output", "stopped"),
    [
        ("FINISH", True),
        ("  FINISH.\n", True),
        ('"FINISH"', True),
        ("**FINISH**", True),
        ("FINISH - I know all I wanted", True),
        ('"One more thing?" FINISH', True),
        ("That is all.\nFINISH", True),
        ("Finish my poem", False),
        ("FINISHED", False),
        ("UNFINISH", False),
        ("How do I reach the FINISH line?", False),
        ("", False),
    ],
)
def test_an_output_stops_where_it_begins_or_ends_with_the_token(output: str, stopped: bool) -> None:
    assert stops(output, "FINISH") is stopped


def transcription(text: str, max_n: int, r: int) -> bool:
    """Apply Algorithm 2 line by line; line 12 means r n-grams at distances of n, counted
    backwards."""
    words = text.split()
    for n in range(2, max_n + 1):
        n_grams: list[tuple[str, ...]] = []
        for i in range(len(words) - n + 1):
            n_gram = tuple(words[i : i + n])
            if (
                n_grams
                and len(n_grams) >= max(r, n)
                and (n_grams[-1] == n_gram or n_grams[-n] == n_gram)
            ):
                last_rs = n_grams[-r:]
                if len(set(last_rs)) == 1:
                    return True
                last_rs = [n_grams[-n * k] for k in range(1, r + 1) if n * k <= len(n_grams)]
                if len(last_rs) == r and len(set(last_rs)) == 1:
                    return True
            n_grams.append(n_gram)
    return False


@untimed
@given(
    words=st.lists(st.sampled_from(["a", "b", "c"]), max_size=40),
    max_n=st.integers(1, 8),
    r=st.integers(1, 4),
)
def test_incoherence_is_algorithm_2(words: list[str], max_n: int, r: int) -> None:
    text = " ".join(words)
    assert is_incoherent(text, max_n, r) == transcription(text, max_n, r)


@untimed
@given(
    head=st.lists(st.from_regex(r"h[0-9]{1,4}", fullmatch=True), max_size=10),
    cycle=st.lists(st.from_regex(r"c[0-9]{1,2}", fullmatch=True), min_size=2, max_size=8),
    r=st.integers(1, 3),
)
def test_a_phrase_said_again_and_again_is_incoherent(
    head: list[str], cycle: list[str], r: int
) -> None:
    assert is_incoherent(" ".join([*head, *cycle * (r + 2)]), 8, r)


@untimed
@given(st.lists(st.integers(0, 10_000), unique=True, max_size=60))
def test_a_text_in_which_no_word_comes_again_is_coherent(numbers: list[int]) -> None:
    assert not is_incoherent(" ".join(map(str, numbers)), 8, 1)


@pytest.mark.parametrize(
    ("text", "family", "incoherent"),
    [
        ("Fine! Let's start now! Let's start now! Let's start now! Let's start now!", "gpt", True),
        ("well well well well well", "gpt", True),
        ("The cat sat on the mat, and the dog sat on the rug.", "llama-2", False),
        ("one two three four five six one two three four five six " * 3, "vicuna", False),
        ("one two three four five six one two three four five six " * 3, "llama-2", True),
        ("", "gpt", False),
    ],
)
def test_how_far_back_it_looks_is_the_models_own(text: str, family: str, incoherent: bool) -> None:
    kind = families()[family]
    assert is_incoherent(text, kind.max_n, kind.r) is incoherent


def test_the_parameters_of_algorithm_2_are_the_published_ones() -> None:
    found = {name: (kind.max_n, kind.r) for name, kind in families().items()}
    published = {"llama-2": (8, 2), "vicuna": (5, 2), "mixtral": (4, 2), "gpt": (4, 2)}
    assert {name: found[name] for name in published} == published


@pytest.mark.parametrize(
    ("output", "family", "found"),
    [
        ('"How fast?" [/INST] "Very fast."', "llama-2", True),
        ('"How fast?"\n### Human: very fast', "vicuna", True),
        ('"How fast?" ASSISTANT: Very fast.</s>USER: "And now?"', "vicuna", True),
        ('"How fast?"\nUSER: and now?', "vicuna", True),
        ('USER: "How fast?"', "vicuna", False),
        ('"Is it said of an ASSISTANT: fast?"', "vicuna", False),
        ('"How fast?" NONUSER: I ask', "vicuna", False),
        ('"How fast?"<|im_end|>', "chatml", True),
        ('"How fast?"\nAssistant: very fast', "gpt", True),
        ('"Is it said of an Assistant: fast?"', "gpt", False),
        ('"How fast?"', "llama-2", False),
        ('"How fast?" [/INST]', "vicuna", False),
    ],
)
def test_an_inquirer_that_answers_itself(output: str, family: str, found: bool) -> None:
    assert (self_reply_at(output, families()[family].special_tokens) is not None) is found


@pytest.mark.parametrize(
    ("output", "asks", "answers", "prompt"),
    [
        ('"How many calories is that?"[INST IN] "Of course! Take', "mixtral", "llama-2", None),
        ('"Is it good?"\n### Assistant: "Yes."\n### Human: "Ok?"', "vicuna", "llama-2", None),
        ('"Is it good?"\n### Assistant: "Yes."', "llama-2", "vicuna", None),
        ('"Why does User: fail?"\nAssistant: "because"', "gpt", "gpt", "Why does User: fail?"),
        ('User: "How fast?"\n**Assistant:** "Very."', "gpt", "gpt", "How fast?"),
        ('[INST] "How fast?" [/INST] "Very."', "llama-2", "llama-2", "How fast?"),
        ('I would say\nAssistant: "How fast?"', "gpt", "gpt", "How fast?"),
    ],
)
def test_an_inquirer_answers_itself_in_either_template(
    output: str, asks: str, answers: str, prompt: str | None
) -> None:
    kinds = families()[asks], families()[answers]
    faults = faults_of_prompt(output, "FINISH", *kinds)
    assert "self_reply" in faults
    assert usable_prompt(output, faults, *kinds) == (prompt or output[1 : output.index('"', 1)])


@pytest.mark.parametrize(
    "output",
    ['"A label says\nAssistant: draw it. What now?"', 'User: "How fast?"', '"Is [INST] a token?"'],
)
def test_what_is_said_to_the_chatbot_is_no_reply(output: str) -> None:
    kinds = families()["gpt"], LLAMA
    assert faults_of_prompt(output, "FINISH", *kinds) == []
    assert usable_prompt(output, [], *kinds) == output.removeprefix("User: ")[1:-1]


@untimed
@given(
    before=PLAIN,
    after=st.text(max_size=40),
    family=st.sampled_from(sorted(families())),
    data=st.data(),
)
def test_a_token_at_the_beginning_of_a_line_is_a_reply(
    before: str, after: str, family: str, data: st.DataObject
) -> None:
    """Any text may precede and follow the token."""
    tokens = special_tokens(GPT, families()[family])
    token = data.draw(st.sampled_from(tokens))
    at = self_reply_at(f'Well {before}: "Is it?"\n{token}{after}', tokens)
    assert at is not None
    assert at <= len(f'Well {before}: "Is it?"\n')


@pytest.mark.parametrize(
    ("output", "missed"),
    [
        ('"Thanks a lot, you\'re a lifesaver!"', True),
        (
            "\"Haha, Thanks, big assistant! You're a lifesaver! I'm glad I could practice my goals "
            "with you. I feel like I've accomplished something big today!\"",
            True,
        ),  # the paper's own, Table 8
        ("I think I have achieved my goal, thank you", True),
        ("You have helped me achieve my goal.", True),
        ("Great, your answers really helped me to reach all my goals!", True),
        ('"This helped me accomplish my goal, thanks."', True),
        ("I've achieved my goal.", True),
        ('"Great, I have got everything I need now."', True),
        ("Ok, that is all I need.", True),
        ("I am done.", True),
        ("I have achieved my goal.", True),
        ("My goal has been reached!", True),
        ('"I have achieved my goal. Now write a poem of it."', False),
        ('"I am done with the first part. Go on."', False),
        ('"I have reached 200 metres in 30 seconds. Tell me my speed."', False),
        ('"Argue that we have met all problems through technology."', False),
        ('"You have not helped me achieve my goal."', False),
        ('"I think I have not achieved my goal. Show me the table."', False),
        ('"You helped me reach my goal of 5 km, but what about 10?"', False),
        ('"I have completed something like a class. Tell me what is missing."', False),
        ('"Thanks. Now write it as a class."', False),
        ('"Thanks, now change line 10."', False),
        ('"Make the class usable at any time."', False),
        ('"Check that it has no problem with capital letters."', False),
        ('"Write a function that prints good luck"', False),
        ('"Add a goodbye message to the CLI."', False),
        ('"Thanks. FINISH"', False),
        ('"Thanks, but how many calories is that?"', False),
        ('"Tell me the calories of each race."', False),
    ],
)
def test_a_stopping_criterion_that_is_missed(output: str, missed: bool) -> None:
    assert misses_stop(output, "FINISH") is missed


@pytest.mark.parametrize(
    "text",
    ["You're a lifesaver!", "You are such a lifesaver!", "you're really such a life saver"],
)
def test_words_may_stand_before_a_lifesaver(text: str) -> None:
    assert is_thanks(text)


def test_no_pattern_counts_with_a_space_in_the_braces() -> None:
    """`{0, 3}` is a literal text, or a pair of numbers in an f-string; neither is a repetition."""
    sources = sorted((Path(convogen.__file__).parent).rglob("*.py"))
    assert sources
    for path in sources:
        text = path.read_text("utf-8")
        formatted = re.findall(r"""\brf?["'][^"'\n]*[^{]\{\d+, *\d*\}""", text)
        wrong = [one for one in formatted if one.startswith("rf") or re.search(r"\{\d+, ", one)]
        assert not wrong, f"{path}: {wrong[0]}"


@pytest.mark.parametrize(
    ("text", "round_"),
    [
        ("| --- | --- | --- | --- | --- |", False),
        ("wait . . . . . . . . what", False),
        (
            "```\nt.forward(9)\nt.left(9)\nt.forward(9)\nt.left(9)\nt.forward(9)\nt.left(9)\n```",
            False,
        ),
        ("```\nt.left(9) t.left(9) t.left(9) t.left(9)", False),
        ("t.forward(9) t.left(9) t.forward(9) t.left(9) t.forward(9) t.left(9) t.forward(9)", True),
        ("```\nx\n``` and so on and so on and so on and so on and so on", True),
        ("| and so | and so | and so | and so | and so |", True),
    ],
)
def test_what_repeats_by_nature_goes_round_for_nobody(text: str, round_: bool) -> None:
    """Algorithm 2 itself classifies all of these texts as incoherent."""
    assert is_incoherent(text, GPT.max_n, GPT.r)
    assert goes_round(text, GPT) is round_


def test_thanks_without_end_are_two_turns_of_nothing_else() -> None:
    thanks = ["Thank you so much!", "You're welcome! Have a great day!"]
    assert all(is_thanks(text) for text in thanks)
    assert not is_thanks("Thanks! And what is the speed?")
    assert not is_thanks("Thanks to " + "a long proof " * 20)
    assert not is_thanks("Great.")
    assert is_thanks("Thank you so much! You're welcome any time.")
    assert is_thanks("You're welcome! If you have any more questions, feel free to ask.")
    assert thanks_without_end(["How fast?", "Very.", *thanks, *thanks])
    assert not thanks_without_end([*thanks, "How fast?", "Very fast."])
    assert not thanks_without_end(thanks)


COURTESIES = ("Thank you!", "Thanks a lot.", "You're welcome.", "Goodbye.", "My pleasure!")
REQUESTS = ("Now write it as a class.", "Change line 10.", "Say goodbye to 3 of them.", "A poem.")


@untimed
@given(st.lists(st.sampled_from(COURTESIES), min_size=4, max_size=8), st.sampled_from(REQUESTS))
def test_courtesies_alone_are_thanks_and_with_a_request_are_not(
    said: list[str], request: str
) -> None:
    assert thanks_without_end(said)
    assert misses_stop(f'"{" ".join(said)}"', "FINISH")
    for at in range(len(said) + 1):
        assert not is_thanks(" ".join([*said[:at], request, *said[at:]]))
    assert not thanks_without_end([*said, f"{said[0]} {request}"])


@untimed
@given(PLAIN, PLAIN, st.sampled_from([*COURTESIES, "I have achieved my goal."]))
def test_what_asks_is_never_thanks(before: str, after: str, courtesy: str) -> None:
    text = f"{courtesy} {before}? {after}"
    assert not is_thanks(text)
    assert not misses_stop(text, "FINISH")
    assert not misses_stop(f'Well: "{text}"', "FINISH")


@untimed
@given(
    texts=st.lists(
        st.from_regex(r"[a-z][a-z0-9 ,]{0,20}[a-z0-9?]", fullmatch=True), min_size=1, max_size=9
    ),
    joint=st.from_regex(r" [a-z]{1,9}([a-z ]{0,9}[a-z])? ", fullmatch=True),
    marks=st.sampled_from(['""', "“”", "«»", "„“", '"”']),
)
def test_as_many_prompts_are_counted_as_there_are(texts: list[str], joint: str, marks: str) -> None:
    output = joint.join(f"{marks[0]}{text}{marks[1]}" for text in texts)
    assert quoted_texts(output) == texts
    faults = faults_of_prompt(output, "FINISH", GPT, GPT)
    assert ("several_prompts" in faults) is (len(texts) > 1)
    assert "no_prompt" not in faults


@pytest.mark.parametrize(
    ("output", "faults"),
    [
        ('"How fast?"', []),
        ("FINISH", []),
        ("How fast?", ["no_prompt"]),
        ('"How fast?" "How far?"', ["several_prompts"]),
        ('"go on and on and on and on and on"', ["incoherent_inquirer"]),
        ('"How fast?" [/INST] "Very."', ["several_prompts", "self_reply"]),
        ('"Thank you!"', ["stop_missed"]),
    ],
)
def test_every_failure_of_an_output_is_named(output: str, faults: list[str]) -> None:
    assert faults_of_prompt(output, "FINISH", GPT, LLAMA) == faults


@untimed
@given(st.text(max_size=80), st.sampled_from(sorted(families())))
def test_a_usable_prompt_is_a_text_of_the_output(output: str, family: str) -> None:
    kind = families()[family]
    faults = faults_of_prompt(output, "FINISH", kind, kind)
    prompt = usable_prompt(output, faults, kind, kind)
    assert prompt is None or (prompt and prompt in output)
    if prompt is None and "self_reply" not in faults and not stops(output, "FINISH"):
        assert faults


def test_of_a_self_reply_the_prompt_before_it_is_used() -> None:
    output = '[INST] "How fast?" [/INST] "Very."'
    assert usable_prompt(f"Well: {output[7:]}", ["self_reply"], GPT, LLAMA) == "How fast?"
    assert usable_prompt("Well [/INST] Very.", ["self_reply"], GPT, LLAMA) is None


def test_an_output_is_made_anew_cooler_for_its_form_warmer_where_it_goes_round() -> None:
    own = Sampling(temperature=0.9, max_tokens=60)
    cooler = [changed(own, "no_prompt", times).temperature for times in (1, 2, 3, 4)]
    assert cooler == [0.6, 0.3, 0.1, 0.1]
    again = changed(own, "incoherent_responder", 1).with_defaults(own)
    assert (again.temperature, again.frequency_penalty, again.max_tokens) == (1.2, 0.5, 60)
    assert changed(Sampling(), "incoherent_inquirer", 9).temperature == 1.5


def test_a_model_without_a_system_message_gets_it_before_the_first_words() -> None:
    messages = [Message("system", "Be a cook."), Message("user", "Hello?")]
    assert without_system(messages) == [Message("user", "Be a cook.\n\nHello?")]
    assert without_system(messages[1:]) == messages[1:]


def test_a_family_is_told_by_its_tokens_alone() -> None:
    own = Family(True, ("<end>",), 3, 2)
    assert faults_of_prompt('"Hi"<end>', "FINISH", own, own) == ["self_reply"]
