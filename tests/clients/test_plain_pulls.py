"""Releases at a plain address, served by Debian's nginx: `pull` and curl fetch them, and refuse forged ones."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autocomplete.bundle import integrity
from autocomplete.cli import pull, verify
from autocomplete.common.errors import UserError
from autocomplete.common.files import tree_sha256
from autocomplete.release import download, registry
from helpers.bundles import keys
from helpers.environments import absent
from helpers.folders import ROOT
from helpers.releases import MODE, RELEASES, plain
from helpers.servers import HOST, PASSWORD, USER, free_port, nginx

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/app-team/README.md").read_text()


@dataclass(frozen=True)
class Site:
    """A web server's address, the folder that it shows, with releases in `models`, and their public key."""

    url: str
    folder: Path
    key: Path

    @property
    def models(self) -> str:
        return f"{self.url}/models"

    @property
    def home(self) -> Path:
        return self.folder / "models/releases/autocomplete"

    def index(self, name: str, change: Any) -> str:
        """Writes a changed copy of the index next to it, and returns its address."""
        index = json.loads((self.home / "index.json").read_text())
        change(index["versions"])
        (self.home / name).write_text(json.dumps(index))
        return f"{self.models}/releases/autocomplete/{name}"


@pytest.fixture(scope="module")
def site(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    pair = keys(folder, "release")
    plain(folder / "srv/models", toy_bundle, RELEASES, pair)
    with nginx(folder / "nginx", folder / "srv") as url:
        yield Site(url, folder / "srv", pair[1])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs each test in a folder without this project's own key."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


def pulled(source: str, out: Path, *options: str) -> str:
    """Pulls in this process; returns the files' SHA-256."""
    pull.command.main([source, MODE, "--out", str(out), *options], standalone_mode=False)
    return tree_sha256(out)


def test_the_newest_a_version_and_a_stage(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = (tree_sha256(site.home / version / MODE) for version in RELEASES)
    out = tmp_path / "bundle"
    assert pulled(site.models, out) == new  # 1.10.0
    assert "signature   not checked: no key (--key public.pem)" in capsys.readouterr().out
    assert pulled(site.models, out, "--stage", "prod", "--key", str(site.key)) == old
    assert f"signature   by the owner of {site.key}\n" in capsys.readouterr().out
    assert pulled(f"{site.models}/", out, "--version", "v1.10.0") == new
    assert pulled(f"{site.models}/releases/autocomplete/index.json", out) == new
    assert list(tmp_path.iterdir()) == [out]
    link = tmp_path / "link"
    link.symlink_to(out)
    assert pulled(site.models, link, "--stage", "prod") == old
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [out, link]


def test_models_are_tried_on_request(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """tests/cli/test_verify.py tests how `verify` runs the models."""
    tried: list[set[str]] = []

    def check_models(folder: Path) -> str:
        tried.append({p.name for p in folder.glob("*.tflite")})
        if len(tried) == 2:
            raise UserError(f"{folder}: a model does not load or answer")
        return "core.tflite  logits\n"

    monkeypatch.setattr(verify, "check_models", check_models)
    pulled(site.models, tmp_path / "untried")
    assert not tried
    pulled(site.models, tmp_path / "tried", "--try")
    assert tried == [{"core.tflite", "tokens.tflite", "portable.tflite", "autocomplete.tflite"}]
    assert "core.tflite  logits\n" in capsys.readouterr().out
    with pytest.raises(UserError, match=rf"^{site.models}/.*/float32: a model does not load or answer"):
        pulled(site.models, tmp_path / "dead", "--try")
    assert not (tmp_path / "dead").exists()


def test_a_failure_leaves_the_folder_unchanged(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    before = pulled(site.models, out, "--stage", "prod")
    for source, options in ((site.models, ["--version", "3.0.0"]), (f"{site.url}/nothing", [])):
        with pytest.raises(UserError):
            pulled(source, out, *options)
        assert tree_sha256(out) == before
    assert list(tmp_path.iterdir()) == [out]
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/icon.png").write_text("of the app")
    with pytest.raises(UserError, match="holds something else than a bundle"):
        pulled(site.models, tmp_path / "assets")
    with pytest.raises(UserError, match="cannot be written: Not a directory"):
        pulled(site.models, tmp_path / "assets/icon.png/bundle")


FORGERIES: dict[str, tuple[str, Any, str]] = {
    "leaves its folder": ("path", "../../1.2.0/float32", r"\.path: '\.\./\.\./1\.2\.0/float32' does not match"),
    "absolute": ("path", "/etc", r"\.path: '/etc' does not match"),
    "foreign": ("path", "http://evil.invalid/x", r"\.path: 'http://evil\.invalid/x' does not match"),
    "another host": ("path", "//evil.invalid/x", r"\.path: '//evil\.invalid/x' does not match"),
    "another version": ("path", "1.10.0/float32", "SHA256SUMS is not the one that the index names"),
    "another hash": ("sha256sums", "0" * 64, "SHA256SUMS is not the one that the index names"),
    "nothing there": ("path", "1.2.0/float33", "answers 404 Not Found"),
    "no hash": ("sha256sums", None, "sha256sums: None is not of type 'string'"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_index_is_refused(site: Site, tmp_path: Path, name: str) -> None:
    key, value, message = FORGERIES[name]
    address = site.index("forged.json", lambda versions: versions["1.2.0"]["modes"][MODE].update({key: value}))
    with pytest.raises(UserError, match=message):
        pulled(address, tmp_path / "bundle", "--version", "1.2.0")
    assert not list(tmp_path.iterdir())


def test_an_old_release_under_a_new_version_s_name_is_refused(site: Site, tmp_path: Path) -> None:
    """Whole, signed by the right key, and named by its true hash."""
    address = site.index("old.json", lambda versions: versions.update({"2.0.0": versions["1.2.0"]}))
    with pytest.raises(UserError, match=r"manifest\.json says float32 1\.2\.0, not float32 2\.0\.0"):
        pulled(address, tmp_path / "bundle", "--key", str(site.key))


FAILURES: dict[str, tuple[str, list[str], str]] = {
    "no version": ("models", ["--version", "2.0.0"], r"no version 2\.0\.0 of float32; there are 1\.2\.0, 1\.10\.0"),
    "no such stage": ("models", ["--stage", "beta"], r"has the stage beta; stages that are there: prod \(1\.2\.0\)"),
    "no index": ("nothing", [], r"there is no index of releases; a git repository's address ends with \.git"),
    "no password": ("private/models", [], r"answers 401 Unauthorized: put a login that may read it into ~/\.netrc"),
    "not for you": ("forbidden/models", [], r"answers 403 Forbidden: put a login"),
    "no JSON": ("text.json", [], r"text\.json is no JSON: not the index of releases"),
    "another's JSON": ("other.json", [], r"other\.json: \$: 'schema_version' is a required property"),
    "a key that did not sign": ("models", ["--key", "OTHER"], "forged or damaged"),
    "a key that is none": ("models", ["--key", "/dev/null"], "is no Ed25519 public key in PEM"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_mistake_says_what_is_wrong(site: Site, tmp_path: Path, name: str) -> None:
    path, options, message = FAILURES[name]
    _, other = keys(tmp_path, "other")
    (site.folder / "text.json").write_text("hello")
    (site.folder / "other.json").write_text("{}")
    with pytest.raises(UserError, match=message) as caught:
        pulled(f"{site.url}/{path}", tmp_path / "bundle", *(o.replace("OTHER", str(other)) for o in options))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "bundle").exists()


def test_a_missing_mode_is_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no release of the mode int4; modes that are there: float32"):
        pull.command.main([site.models, "int4", "--out", str(tmp_path / "bundle")], standalone_mode=False)


def test_a_login_comes_from_netrc_and_is_never_shown(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in ("", ".git"):
        with pytest.raises(UserError, match="check address and network") as caught:
            pulled(f"http://{USER}:{PASSWORD}@{HOST}:{free_port()}/x{suffix}", tmp_path / "bundle")
        assert PASSWORD not in str(caught.value)
    (tmp_path / "netrc").write_text(f"machine {HOST} login {USER} password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert pulled(f"{site.url}/private/models", tmp_path / "bundle")


def test_damaged_files_are_refused(site: Site, tmp_path: Path) -> None:
    shutil.copytree(site.folder / "models", site.folder / "damaged")
    file = site.folder / "damaged/releases/autocomplete/1.10.0/float32/tokens.tflite"
    content = file.read_bytes()
    for damaged, message in (
        (content[:-1] + b"x", r"1\.10\.0/float32/tokens\.tflite is damaged or was changed"),
        (content[:1000], r"1\.10\.0/float32/tokens\.tflite is damaged or was changed"),
        (content * 2, r"tokens\.tflite sends more than the"),
    ):
        file.write_bytes(damaged)
        with pytest.raises(UserError, match=message):
            pulled(f"{site.url}/damaged", tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def test_a_silent_server_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_TIMEOUT_S", (1, 1))
    monkeypatch.setattr(registry, "_CLONE_S", 1)
    with socket.create_server((HOST, 0)) as silent:
        address = f"http://{HOST}:{silent.getsockname()[1]}/models"
        with pytest.raises(UserError, match=r"cannot be read \(.*timed out.*\): check address and network"):
            pulled(address, tmp_path / "bundle")
        with pytest.raises(UserError, match="not cloned in 1 s: check address and network"):
            pulled(f"{address}.git", tmp_path / "bundle")


def curl(site: Site, models: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the commands of the page for app teams, of which only address and mode are replaced."""
    shutil.which("curl") or absent("curl is absent (Debian: curl)")
    (block,) = (b for b in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "curl --fail" in b)
    shutil.copyfile(site.key, folder / "public.pem")
    script = block.replace("https://models.example.org", models).replace("dynamic_range", MODE)
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)


def test_the_curl_commands_fetch_a_release(site: Site, tmp_path: Path) -> None:
    done = curl(site, site.models, tmp_path)
    assert done.returncode == 0, done.stderr
    assert tree_sha256(tmp_path / "bundle") == tree_sha256(site.home / "1.2.0" / MODE)


def test_the_curl_commands_write_only_signed_files(site: Site, tmp_path: Path) -> None:
    shutil.copytree(site.folder / "models", site.folder / "evil")
    bundle = site.folder / "evil/releases/autocomplete/1.2.0" / MODE
    sums = bundle / integrity.FILE
    sums.write_text(sums.read_text() + f"{'0' * 64}  ../evil\n")
    shutil.copyfile(sums, bundle.parent / "evil")
    assert curl(site, f"{site.url}/evil", tmp_path).returncode != 0
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["SHA256SUMS", "SHA256SUMS.sig", "bundle", "public.pem"]
