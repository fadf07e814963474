"""The names by which people may be called."""

from __future__ import annotations

import pytest

from convogen.text.names import name_forms
from convogen.text.turn_checks import Scene, read_utterance


@pytest.mark.parametrize("name", ["Ben", "Al", "Della", "Du"])
def test_a_name_that_is_also_a_particle_is_a_name(name: str) -> None:
    assert name_forms(name) == {name.casefold()}
    said = read_utterance(f"{name} walks to the door and sighs.", Scene(name, ("Ana",)))
    assert said.fault == "third_person"


def test_particles_alone_are_no_names() -> None:
    assert name_forms("Ludwig van Beethoven") >= {"ludwig", "beethoven", "van beethoven"}
    assert "van" not in name_forms("Ludwig van Beethoven")
