"""release: brings the packaged bundles out under a version: signed, in git, in DVC's remote and at a plain address."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import semver

from autocomplete.bundle import android, signature
from autocomplete.common import config
from autocomplete.common.errors import UserError
from autocomplete.common.files import replacing, write_json
from autocomplete.common.progress import step
from autocomplete.release import git, publish, record, releases, stamp

PACKAGE = Path("artifacts/package")
POINTER = Path(f"{record.BUNDLES}.dvc")


@dataclass(frozen=True)
class ReleaseSettings:
    """What a release holds and where it goes (conf/release.yaml and the command line)."""

    version: str | None
    key: str | None
    stages: list[str]
    prefix: str | None
    dvc_remote: str | None
    git_remote: str | None
    maven_group: str

    def __post_init__(self) -> None:
        """Refuses what needs no repository to be seen."""
        android.Coordinates(self.maven_group, "autocomplete", self.number)

    @property
    def number(self) -> str:
        """The version, which must be there and be one."""
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
    remote and below the prefix, and GTO's tags name them. What others look at first is published last, so nothing half
    is ever seen: after a failure give the same command again. A version never changes; given again with --stage, one
    that is out takes that stage.

    Example: autocomplete release 1.2.0 --key $HOME/release.key --stage prod
    """
    given = {name: value for name, value in options.items() if value not in (None, ())}
    run(config.composed("release", ReleaseSettings, given | {"stages": list(options["stages"])}))


def run(settings: ReleaseSettings) -> None:
    """Brings a version out, or does what is still to do."""
    version = settings.number
    if settings.git_remote:
        with step(f"asking {settings.git_remote} for its tags"):
            git.fetch_tags(settings.git_remote)
    known = git.committed(record.path(version))
    content: dict[str, Any] = json.loads(known) if known else {}
    if not content or any(version not in git.versions(name) for name in _artifacts(content)):
        content = _make(settings, content)
        _send(settings, content)
    for stage in settings.stages:
        for name in _artifacts(content):
            git.assign(name, version, stage)
    if settings.git_remote:
        with step(f"pushing branch and tags to {settings.git_remote}"):
            git.push(settings.git_remote, [f"{n}{kind}" for n in _artifacts(content) for kind in ("@*", "#*")])
    if settings.prefix:
        _point(publish.home(settings.prefix, content["name"]), _artifacts(content))
    _show(settings, content)


def _artifacts(content: Mapping[str, Any]) -> dict[str, str]:
    """Name by DVC and GTO → mode, of what a record holds."""
    return {record.artifact(content["name"], mode): mode for mode in content["modes"]}


def _make(settings: ReleaseSettings, known: Mapping[str, Any]) -> dict[str, Any]:
    """Stamps and signs the bundles, and commits their record; one that is there already must say the same."""
    version, key = settings.number, signature.private_key(settings.key, git.top())
    name, modes = record.listed(git.bundles())
    if not known and any(version in git.versions(record.artifact(name, mode)) for mode in modes):
        raise UserError(
            f"version {version} is out, from a commit that this branch does not hold: merge it or choose another"
        )
    _refuse_unready([record.path(version), POINTER])
    label = stamp.Stamp(version, known.get("revision") or git.head(), settings.maven_group)
    with step(f"signing {len(modes)} bundles"), replacing(record.BUNDLES) as folder:
        sums = {mode: stamp.write(PACKAGE / mode, label, key, folder / mode) for mode in modes}
        content = record.sign(record.build(name, version, label.revision, sums), key)
        if known and content != known:
            raise UserError(
                f"{record.path(version)} is of other bundles or another key; a version never changes: choose a new one"
            )
    write_json(record.path(version), content)
    with step("adding the bundles to DVC"):
        git.dvc("add", "--quiet", str(record.BUNDLES))
    git.commit(f"Release {version}", [record.path(version), POINTER])
    return content


def _refuse_unready(own: list[Path]) -> None:
    """Raises UserError where the bundles are not what a commit makes."""
    if files := git.changed(leave_out=own):
        raise UserError(
            f"git's tree is not clean: {', '.join(files[:3])}{' …' if files[3:] else ''}; commit or stash first"
        )
    with step("asking DVC whether dvc.lock is up to date"):
        stale = [name for name in git.stale() if name != POINTER.as_posix()]
    if stale:
        raise UserError(
            f"dvc.lock is behind at {', '.join(stale[:3])}{' …' if stale[3:] else ''}: run `dvc repro`, commit dvc.lock"
        )


def _send(settings: ReleaseSettings, content: Mapping[str, Any]) -> None:
    """Puts the bundles where teams fetch them from, and then the tags that name them."""
    version = settings.number
    with step("pushing data to DVC's remote"):
        to = ["--remote", settings.dvc_remote] if settings.dvc_remote else []
        git.dvc("push", "--quiet", *to, advice="`dvc remote list` shows where it goes")
    if settings.prefix:
        folders = [record.BUNDLES / mode for mode in content["modes"]]
        publish.publish(publish.home(settings.prefix, content["name"]), version, folders, record.path(version))
    commit = git.added(record.path(version))
    for name in _artifacts(content):
        git.register(name, version, commit)


def _point(place: str, artifacts: Mapping[str, str]) -> None:
    """Writes the index of the registered versions that are at a place."""
    records: dict[str, Any] = {}
    for name in artifacts:
        for version, commit in git.versions(name).items():
            told = git.committed(record.path(version), commit)
            if version not in records and told and publish.has(place, version):
                records[version] = json.loads(told)
    ordered = dict(sorted(records.items(), key=lambda item: semver.Version.parse(item[0])))
    with step(f"writing {place}/{releases.FILE}"):
        publish.point(place, record.index(ordered, {mode: git.stages(name) for name, mode in artifacts.items()}))


def _show(settings: ReleaseSettings, content: Mapping[str, Any]) -> None:
    """Prints what is out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table("artifact", "version", "stages", "SHA-256 of SHA256SUMS", box=box.SIMPLE)
    for name, mode in _artifacts(content).items():
        given = sorted(s for s, v in git.stages(name).items() if v == settings.number)
        table.add_row(name, settings.number, ", ".join(given), content["modes"][mode]["sha256sums"])
    Console().print(table)
