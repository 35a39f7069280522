"""Settings of the filter on answers; they load without a model's runtime."""

from dataclasses import dataclass

from autocomplete.common.errors import UserError


@dataclass(frozen=True)
class WordFilterSettings:
    """The filter on answers.

    Attributes:
      languages: of its word lists.
      tries: how often an app asks.
      seed: draws the answers.
    """

    languages: list[str]
    tries: int
    seed: int

    def __post_init__(self) -> None:
        """Refuses languages without a list, before anything is loaded."""
        from autocomplete.evaluate import word_filter

        word_filter.check_languages(self.languages, "validate.filter.languages")
        for key, least, most in (("tries", 1, 100), ("seed", 0, 10**9)):
            if not least <= getattr(self, key) <= most:
                raise UserError(f"validate.filter.{key} is {getattr(self, key)}; allowed: {least} to {most}")
