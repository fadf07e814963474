"""Matches of a word list in a text, and the reported positions."""

from __future__ import annotations

from pathlib import Path

import pytest

from convogen.errors import SourceError
from convogen.gates.safety import Safety, WordList, plain_words


def own_list(folder: Path, *entries: str) -> WordList:
    path = folder / "mine.txt"
    path.write_text("\n".join(entries) + "\n", "utf-8")
    return Safety(words=str(path), shipped=False).word_list


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("B00K, 2 books", ["book", "2", "books"]),
        ("01345678 o1", ["01345678", "oi"]),
        ("a0 a1 a3 a4 a5 a7 a8 a2", ["ao", "ai", "ae", "aa", "as", "at", "ab", "a2"]),
        ("m@d $o h!t s|t", ["mad", "so", "hit", "sit"]),
        ("go! @ $ stop|", ["go", "stop"]),  # a sign at the end of a word counts as a sign
        ("Meet me @55, for $455 or 7!75", ["meet", "me", "55", "for", "455", "or", "7", "75"]),
    ],
)
def test_a_word_with_a_letter_in_it_has_signs_and_digits_for_letters_and_no_number_has(
    text: str, words: list[str]
) -> None:
    assert plain_words(text) == words


def test_an_entry_of_several_words_is_found_anywhere_and_in_one_piece(tmp_path: Path) -> None:
    words = own_list(tmp_path, "red tea pot", "plum*", "Ash")
    for text in ("red tea pot", "a red tea pot", "the Red Tea-Pot is"):
        assert words.find(text) == "red tea pot"
    for text in ("red tea", "red hot tea pot", "pot tea red", "plu", "ashes"):
        assert words.find(text) is None
    assert words.find("plum") == words.find("sugarplum plums") == "plum*"
    assert words.find("an ash and a plum") == "Ash"  # the first in the text


def test_letters_drawn_out_are_one_or_two_and_letters_apart_are_a_word(tmp_path: Path) -> None:
    words = own_list(tmp_path, "boo", "fig", "on")
    for text in ("booo", "boooooo", "b o o", "f.i.g", "fiiig", "a f i g"[2:]):
        assert words.find(text) in ("boo", "fig"), text
    assert words.find("o n") is None  # two separate letters are two words
    assert words.find("fiig") is None  # a double letter is another spelling
    assert words.find("o, f i g") is None  # with an additional letter


def test_lists_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"mine\.txt: has no entries, so it would reject nothing"):
        own_list(tmp_path, "# only this", "")
    with pytest.raises(SourceError, match=r"mine\.txt: the entry '\*' has no letters or digits"):
        own_list(tmp_path, "plum", "*  # all")


def test_ones_own_list_stands_beside_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("plum\n")
    both = Safety(words=str(tmp_path / "mine.txt"))
    assert both.word_list.find("plum") == "plum"
    assert both.word_list.find("oh shit") == "shit"
    alone = Safety(words=str(tmp_path / "mine.txt"), shipped=False)
    assert both.sources() != alone.sources() != Safety().sources()
