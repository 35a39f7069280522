"""release: publishes the packaged bundles as a version: signed, in git, in DVC's remote and below a plain address."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import semver

from autocomplete.bundle import android, signature
from autocomplete.common import config
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing
from autocomplete.common.progress import step
from autocomplete.release import git, publish, record, releases, stamp
from autocomplete.release.record import ReleaseRecord

PACKAGE = Path("artifacts/package")
BUNDLES_DVC = Path(f"{record.BUNDLES}.dvc")
_SHOWN_NAMES = 3  # in a message


@dataclass(frozen=True)
class ReleaseSettings:
    """What a release holds and where it goes: conf/release.yaml and the command line.

    Attributes:
      version: semantic, without `v`.
      key: the path of the Ed25519 private key.
      stages: the release stages that the version takes.
      prefix: the address that teams without DVC download from.
      dvc_remote: the name of a DVC remote; null for DVC's default.
      git_remote: the name of a git remote; null where branch and tags stay here.
      maven_group: the group of the Android archives.
    """

    version: str | None
    key: str | None
    stages: list[str]
    prefix: str | None
    dvc_remote: str | None
    git_remote: str | None
    maven_group: str

    def __post_init__(self) -> None:
        """Refuses a missing or malformed version and a malformed Maven group."""
        android.Coordinates(self.maven_group, "autocomplete", self.valid_version)

    @property
    def valid_version(self) -> str:
        """The version; raises UserError where it is missing or not semantic."""
        if not self.version or not semver.Version.is_valid(self.version):
            raise UserError(f"version is {self.version}; say 1.2.0, three numbers by semantic versioning")
        return self.version


@click.command("release")
@click.argument("version")
@click.option(
    "--key", help="Path of the Ed25519 private key (PEM), outside of the repository.  [default: $AUTOCOMPLETE_KEY]"
)
@click.option(
    "--stage", "stages", multiple=True, help="A GTO stage that the version takes, such as prod; may be repeated."
)
@click.option("--prefix", help="Where teams without DVC fetch from: a folder, s3://, ssh:// or https:// (PUT).")
@click.option("--dvc-remote", help="The DVC remote to push to.  [default: DVC's own default]")
@click.option("--git-remote", help="The git remote to push to; empty: branch and tags stay here.  [default: origin]")
@click.option("--maven-group", help="Of the Android archives.")
def command(**options: Any) -> None:
    """Publish the packaged bundles as VERSION (1.2.0). Defaults are those of conf/release.yaml.

    Before: every gate has passed, git's tree is clean, dvc.lock is up to date, and keys/release.pem, which belongs to
    the key, is in git. After: releases/<version>.json and releases/bundles.dvc are committed, the bundles are in DVC's
    remote and below the prefix, and GTO's tags name them. Tags and index are published last, so nobody sees half of a
    release: after a failure give the same command again. A version never changes. The command for a version that is
    out, with --stage, gives it the stage.

    Example: autocomplete release 1.2.0 --key $HOME/release.key --stage prod
    """
    changes = {name: value for name, value in options.items() if value not in (None, ())}
    run(config.composed("release", ReleaseSettings, changes | {"stages": list(options["stages"])}))


def run(settings: ReleaseSettings) -> None:
    """Publishes a version, or does what an earlier run left undone."""
    version = settings.valid_version
    if settings.git_remote:
        with step(f"asking {settings.git_remote} for its tags"):
            git.fetch_tags(settings.git_remote)
    path = record.path(version)
    committed = git.file_at("HEAD", path)
    content = None if committed is None else record.parse(committed, str(path))
    if content is None or any(version not in git.registered_versions(name) for name in content.artifacts()):
        content = _create(settings, content)
        _publish(settings, content)
    artifacts = content.artifacts()
    for stage in settings.stages:
        for name in artifacts:
            git.assign_stage(name, version, stage)
    if settings.git_remote:
        with step(f"pushing branch and tags to {settings.git_remote}"):
            git.push(settings.git_remote, [f"{name}{kind}" for name in artifacts for kind in ("@*", "#*")])
    if settings.prefix:
        _publish_index(publish.releases_url(settings.prefix, content.name), content)
    _print(content)


def _create(settings: ReleaseSettings, committed: ReleaseRecord | None) -> ReleaseRecord:
    """Stamps and signs the bundles, and commits their record.

    Raises:
      UserError: where the version is out from another branch, the bundles are not ready, or the record differs from
        the committed one.
    """
    version, key = settings.valid_version, signature.private_key(settings.key, git.toplevel())
    path = record.path(version)
    name, modes = record.name_and_modes(git.artifacts())
    artifacts = [record.artifact_name(name, mode) for mode in modes]
    if committed is None and any(version in git.registered_versions(artifact) for artifact in artifacts):
        raise UserError(
            f"version {version} is out, from a commit that this branch does not hold: merge it or choose another"
        )
    _require_ready([path, BUNDLES_DVC])
    revision = git.head() if committed is None else committed.revision
    label = stamp.Stamp(version, revision, settings.maven_group)
    with step(f"signing {len(modes)} bundles"), replacing(record.BUNDLES) as folder:
        sums = {mode: stamp.write(PACKAGE / mode, label, key, folder / mode) for mode in modes}
        content = record.sign(record.build(name, version, revision, sums), key)
        if committed is not None and content != committed:
            raise UserError(f"{path} is of other bundles or another key; a version never changes: choose a new one")
    content.write(path)
    with step("adding the bundles to DVC"):
        git.dvc("add", "--quiet", str(record.BUNDLES))
    git.commit(f"Release {version}", [path, BUNDLES_DVC])
    return content


def _require_ready(written: list[Path]) -> None:
    """Raises UserError where the bundles may differ from what a commit makes; the release itself writes some files."""
    if files := git.changed_files(ignored=written):
        raise UserError(f"git's tree is not clean: {_shortened(files)}; commit or stash first")
    with step("asking DVC whether dvc.lock is up to date"):
        stale = [name for name in git.stale_stages() if name != BUNDLES_DVC.as_posix()]
    if stale:
        raise UserError(f"dvc.lock is behind at {_shortened(stale)}: run `dvc repro`, commit dvc.lock")


def _shortened(names: list[str]) -> str:
    return f"{', '.join(names[:_SHOWN_NAMES])}{' …' if names[_SHOWN_NAMES:] else ''}"


def _publish(settings: ReleaseSettings, content: ReleaseRecord) -> None:
    """Uploads the bundles, and then registers them: the tags are what others look at first."""
    path = record.path(content.version)
    with step("pushing data to DVC's remote"):
        remote_option = ["--remote", settings.dvc_remote] if settings.dvc_remote else []
        git.dvc("push", "--quiet", *remote_option, advice="`dvc remote list` shows where it goes")
    if settings.prefix:
        bundles = [record.BUNDLES / mode for mode in content.modes]
        publish.upload(publish.releases_url(settings.prefix, content.name), content.version, bundles, path)
    commit = git.commit_that_added(path)
    for name in content.artifacts():
        git.register(name, content.version, commit)


def _publish_index(url: str, content: ReleaseRecord) -> None:
    """Uploads the index of the registered versions that are complete at an address."""
    records: dict[str, ReleaseRecord] = {}
    for name in content.artifacts():
        for version, commit in git.registered_versions(name).items():
            path = record.path(version)
            committed = git.file_at(commit, path)
            if version not in records and committed and publish.is_complete(url, version):
                records[version] = record.parse(committed, f"{commit}:{path}")
    ordered = dict(sorted(records.items(), key=lambda item: semver.Version.parse(item[0])))
    with step(f"writing {url}/{releases.FILE}"):
        stages = {mode: git.assigned_stages(name) for name, mode in content.artifacts().items()}
        publish.upload_index(url, record.build_index(ordered, stages))


def _print(content: ReleaseRecord) -> None:
    """Prints the released artifacts with their stages and hashes."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("artifact", "version", "stages", "SHA-256 of SHA256SUMS", box=box.SIMPLE)
    for name, mode in content.artifacts().items():
        assigned = git.assigned_stages(name)
        stages = sorted(stage for stage, version in assigned.items() if version == content.version)
        table.add_row(name, content.version, ", ".join(stages), content.modes[mode].sha256sums)
    Console().print(table)
