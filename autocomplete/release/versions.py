"""Which release of a mode is meant, among those that a source has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from semver import Version

from autocomplete.common.errors import UserError


@dataclass(frozen=True)
class ReleaseQuery:
    """A mode, and a version or a release stage; with neither, the newest version is meant."""

    mode: str
    version: str | None = None
    stage: str | None = None

    def __post_init__(self) -> None:
        """Raises UserError where both version and stage are given, or the version is not semantic."""
        if self.version is not None and self.stage is not None:
            raise UserError("--version and --stage exclude each other: name a version, or a stage that a version has")
        if self.version is not None and not Version.is_valid(self.version):
            raise UserError(f"--version {self.version} is no version; allowed: three numbers, such as 1.2.0")


@dataclass(frozen=True)
class AvailableReleases:
    """The releases of one mode at a source.

    Attributes:
      source: the source's name in messages.
      versions: without `v`, in any order.
      stages: release stage → version.
      modes: all modes of which the source has releases.
    """

    source: str
    versions: Sequence[str]
    stages: Mapping[str, str]
    modes: Sequence[str]


def choose(query: ReleaseQuery, available: AvailableReleases) -> str:
    """Returns the version that a query means.

    Without version and stage it is the newest; pre-releases count only where there is no other.

    Raises:
      UserError: where there is no such release; the message lists those that there are.
    """
    versions = sorted(filter(Version.is_valid, available.versions), key=Version.parse)
    if not versions:
        modes = ", ".join(sorted(available.modes)) or "none"
        raise UserError(f"{available.source} has no release of the mode {query.mode}; modes that are there: {modes}")
    if query.stage is not None and query.stage not in available.stages:
        stages = ", ".join(f"{stage} ({version})" for stage, version in sorted(available.stages.items())) or "none"
        raise UserError(
            f"{available.source}: no version of {query.mode} has the stage {query.stage}; "
            f"stages that are there: {stages}; versions: {', '.join(versions)}"
        )
    if query.stage is None and query.version is None:
        return max(versions, key=lambda version: (not Version.parse(version).prerelease, Version.parse(version)))
    chosen = query.version or available.stages[str(query.stage)]
    if chosen not in versions:
        raise UserError(f"{available.source} has no version {chosen} of {query.mode}; there are {', '.join(versions)}")
    return chosen
