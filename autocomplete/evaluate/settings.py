"""Settings that stages which measure share; they load without TensorFlow."""

from dataclasses import dataclass

from autocomplete.common.errors import UserError


@dataclass(frozen=True)
class LargeModelSettings:
    """A model of more `parameters` is measured on this `share` of all that is counted."""

    parameters: int
    share: float

    def __post_init__(self) -> None:
        """Refuses a share that measures nothing, or more than there is."""
        if not 0 < self.share <= 1:
            raise UserError(f"validate.large.share is {self.share}; allowed: above 0, at most 1")

    def scaled(self, count: int, parameters: int) -> int:
        """A count as it is for a model of so many parameters."""
        return max(1, round(count * self.share)) if parameters > self.parameters else count
