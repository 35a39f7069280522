"""Which release of a mode is meant, among those that a source offers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from semver import Version

from autocomplete.common.errors import UserError


@dataclass(frozen=True)
class Wanted:
    """A mode, and a version or a stage of it; with neither, the newest version."""

    mode: str
    version: str | None = None
    stage: str | None = None

    def __post_init__(self) -> None:
        """Raises UserError where version and stage contradict each other, or the version is none."""
        if self.version is not None and self.stage is not None:
            raise UserError("--version and --stage exclude each other: say which release, or whose turn it is")
        if self.version is not None and not Version.is_valid(self.version):
            raise UserError(f"--version {self.version} is no version; allowed: three numbers, such as 1.2.0")


@dataclass(frozen=True)
class Offer:
    """What a source has of one mode.

    Attributes:
      source: what to call it.
      versions: those released, without `v`, in any order.
      stages: which version has which stage.
      modes: all modes of the source.
    """

    source: str
    versions: Sequence[str]
    stages: Mapping[str, str]
    modes: Sequence[str]


def choose(wanted: Wanted, offer: Offer) -> str:
    """The version that is meant; raises UserError with what there is instead."""
    there = sorted(filter(Version.is_valid, offer.versions), key=Version.parse)
    if not there:
        modes = ", ".join(sorted(offer.modes)) or "none"
        raise UserError(f"{offer.source} has no release of the mode {wanted.mode}; modes that are there: {modes}")
    if wanted.stage is not None and wanted.stage not in offer.stages:
        stages = ", ".join(f"{stage} ({version})" for stage, version in sorted(offer.stages.items())) or "none"
        raise UserError(
            f"{offer.source}: no version of {wanted.mode} has the stage {wanted.stage}; "
            f"stages that are there: {stages}; versions: {', '.join(there)}"
        )
    if wanted.stage is None and wanted.version is None:
        return max(there, key=lambda v: (not Version.parse(v).prerelease, Version.parse(v)))
    version = wanted.version or offer.stages[str(wanted.stage)]
    if version not in there:
        raise UserError(f"{offer.source} has no version {version} of {wanted.mode}; there are {', '.join(there)}")
    return version
