"""What is a race about, and what has it measured so far?"""

from dataclasses import dataclass

from model_hooks import Decoding, Intervention
from model_hooks.experiments.race import Race
from model_hooks.experiments.untrained import UNTRAINED_GPT2


@dataclass(frozen=True)
class Settings:
    """What a race is about."""

    model_name: str
    prompt_ids: tuple[int, ...]
    n_tokens: int
    n_rounds: int
    decoding: Decoding
    interventions: tuple[Intervention, ...] = ()

    @property
    def untrained(self) -> bool:
        """Whether it runs the model of random weights instead of the loaded one."""
        return self.model_name == UNTRAINED_GPT2


@dataclass(frozen=True)
class Result:
    """What a race measured so far."""

    settings: Settings
    race: Race

    @property
    def is_whole(self) -> bool:
        """Whether nobody stopped it."""
        rounds = self.race.rounds
        return len(rounds) == self.settings.n_rounds and len(rounds[-1]) == self.settings.n_tokens
