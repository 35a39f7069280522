"""verify: a sound bundle passes, and nothing else does."""

import http.server
import json
import random
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from autocomplete.bundle import integrity, manifest, signature
from autocomplete.cli import verify
from autocomplete.common.errors import UserError
from autocomplete.common.files import write_json
from autocomplete.release import archives, stamp
from helpers.bundles import keys
from helpers.commands import stage

pytestmark = pytest.mark.slow

CORRUPTIONS = 1200


def sign(bundle: Path, private: Path) -> None:
    (bundle / integrity.SIGNATURE).write_bytes(signature.sign(private, (bundle / integrity.FILE).read_bytes()))


def reseal(bundle: Path) -> None:
    """Adapts manifest and hashes to changed files, as a forger would."""
    content = json.loads((bundle / manifest.FILE).read_text())
    files = {name: file.model_dump() for name, file in manifest.files(bundle).items()}
    write_json(bundle / manifest.FILE, content | {"files": files})
    integrity.write(bundle)


@pytest.fixture(scope="module")
def server(toy_bundle: Path) -> Iterator[str]:
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(toy_bundle.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_sound_bundle_passes_from_disk_and_from_an_address(toy_bundle: Path, server: str) -> None:
    for source in (str(toy_bundle), f"{server}/bundle/"):
        done = stage("autocomplete", "verify", source)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines[0] == "signature   none"
        for name in ("core.tflite", "tokens.tflite", "portable.tflite", "autocomplete.tflite", manifest.LITERT_LM):
            assert any(line.startswith(name) for line in lines)


def test_a_signature_counts_only_by_the_right_key(bundle: Path, tmp_path: Path) -> None:
    (mine, public), (theirs, other) = keys(tmp_path, "mine"), keys(tmp_path, "theirs")
    with pytest.raises(UserError, match=r"SHA256SUMS\.sig is missing"):
        verify.check_signature(bundle, public)
    sign(bundle, mine)
    assert verify.check_signature(bundle, public) == f"by the owner of {public}"
    assert verify.check_signature(bundle, None).startswith("not checked: no key")
    with pytest.raises(UserError, match="forged or damaged"):
        verify.check_signature(bundle, other)
    (bundle / "core.tflite").write_bytes(b"TFL3")
    reseal(bundle)  # consistent in itself
    verify.check_files(bundle)
    sign(bundle, theirs)
    with pytest.raises(UserError, match="forged or damaged"):
        verify.check_signature(bundle, public)


def flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def cut(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])


def grow(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes() + rng.randbytes(rng.randint(1, 9)))


def remove(path: Path, _: random.Random) -> None:
    path.unlink()


def rename(path: Path, _: random.Random) -> None:
    path.rename(path.with_name(f"{path.name}x"))


def swap(path: Path, rng: random.Random) -> None:
    others = [p for p in path.parent.rglob("*") if p.is_file() and p != path and p.read_bytes() != path.read_bytes()]
    other = rng.choice(others)
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def repeat(path: Path, _: random.Random) -> None:
    shutil.copyfile(path, path.with_name(f"copy_{path.name}"))


WAYS: tuple[Callable[[Path, random.Random], None], ...] = (flip, flip, flip, cut, grow, remove, rename, swap, repeat)


def test_every_corruption_of_a_released_bundle_is_caught(toy_bundle: Path, tmp_path: Path) -> None:
    (private, public), bundle = keys(tmp_path, "key"), tmp_path / "released"
    stamp.write(toy_bundle, stamp.Stamp("1.0.0", "a" * 40, "org.example"), private, bundle)
    rng = random.Random(11)
    sound = {p.relative_to(bundle): p.read_bytes() for p in bundle.rglob("*") if p.is_file()}
    verify.check_signature(bundle, public), verify.check_files(bundle)
    for number in range(CORRUPTIONS):
        path, way = bundle / rng.choice(sorted(sound)), rng.choice(WAYS)
        way(path, rng)
        with pytest.raises(UserError):
            verify.check_signature(bundle, public), verify.check_files(bundle)
            pytest.fail(f"corruption {number}, {way.__name__} of {path.name}, was not caught")
        for extra in [p for p in bundle.rglob("*") if p.is_file() and p.relative_to(bundle) not in sound]:
            extra.unlink()
        for name, content in sound.items():
            if not (bundle / name).exists() or (bundle / name).read_bytes() != content:
                (bundle / name).write_bytes(content)
    verify.check_signature(bundle, public), verify.check_files(bundle)


BROKEN: list[dict[str, object]] = [
    {"files": {"../evil": {"sha256": "0" * 64, "bytes": 1}}},
    {"files": {}},
    {"mode": "../x"},
    {"schema_version": 1},
    {"extra": 1},
    {"lengths": {"sequence_length": "100"}},
    {"models": {}},
    {"context_window": {"tokens": 5}},
]


@pytest.mark.parametrize("change", BROKEN)
def test_a_manifest_that_breaks_the_schema_is_refused(bundle: Path, change: dict[str, object]) -> None:
    content = json.loads((bundle / manifest.FILE).read_text())
    write_json(bundle / manifest.FILE, content | change)
    integrity.write(bundle)
    with pytest.raises(UserError, match=r"manifest\.json: \$"):
        verify.check_files(bundle)


def test_a_model_that_is_not_as_described_or_does_not_load(bundle: Path) -> None:
    shutil.copyfile(bundle / "tokens.tflite", bundle / "core.tflite")
    reseal(bundle)
    done = stage("autocomplete", "verify", str(bundle))
    assert done.returncode == 1
    assert "core.tflite has other signatures or operators than the manifest says" in done.stderr
    (bundle / "core.tflite").write_bytes((bundle / "tokens.tflite").read_bytes()[:5000])
    reseal(bundle)
    done = stage("autocomplete", "verify", str(bundle))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def archive(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in entries.items():
            opened.writestr(name, content)
    return path


def test_the_entries_of_archives_are_checked(tmp_path: Path) -> None:
    archives.check(archive(tmp_path / "good.aar", {"assets/model": random.Random(1).randbytes(5000)}))
    with pytest.raises(UserError, match="a bomb"):
        archives.check(archive(tmp_path / "bomb.aar", {"a": bytes(50_000_000)}))
    for name in ("../evil", "/etc/evil", "..\\evil"):
        with pytest.raises(UserError, match="leads out of its folder"):
            archives.check(archive(tmp_path / "out.aar", {name: b""}))
    broken = bytearray((tmp_path / "good.aar").read_bytes())
    broken[2000] ^= 1
    (tmp_path / "broken.aar").write_bytes(broken)
    with pytest.raises(UserError, match=r"damaged|no sound archive"):
        archives.check(tmp_path / "broken.aar")


def test_a_bomb_in_a_bundle_is_refused(bundle: Path) -> None:
    archive(bundle / "autocomplete.aar", {"a": bytes(50_000_000)})
    reseal(bundle)
    with pytest.raises(UserError, match="a bomb"):
        verify.check_files(bundle)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "nowhere is no folder"),
        ("http://127.0.0.1:1/x", "cannot be read"),
        ("SERVER/none", "answers 404"),
        ("", "is missing: this is no bundle"),
    ],
)
def test_a_mistake_is_one_line(server: str, tmp_path: Path, source: str, message: str) -> None:
    done = stage("autocomplete", "verify", source.replace("SERVER", server) or str(tmp_path))
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_server_that_sends_too_much_is_cut_off(bundle: Path, toy_bundle: Path, tmp_path: Path) -> None:
    (bundle / "core.tflite").write_bytes(bytes(3_000_000))  # more than the manifest says
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(bundle))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        done = stage("autocomplete", "verify", f"http://127.0.0.1:{running.server_port}")
        running.shutdown()
    assert done.returncode == 1
    assert "sends more than the" in done.stderr


def test_keys_and_signatures_are_compatible_with_openssl(bundle: Path, tmp_path: Path) -> None:
    """Users without this project check signatures with openssl."""
    private, public = tmp_path / "k.pem", tmp_path / "p.pem"
    run = partial(subprocess.run, check=True, capture_output=True)
    run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)])
    run(["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)])
    sign(bundle, private)
    verify.check_signature(bundle, public)
    sums, signature_path = bundle / integrity.FILE, bundle / integrity.SIGNATURE
    run(
        [
            "openssl",
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            str(public),
            "-rawin",
            "-in",
            str(sums),
            "-sigfile",
            str(signature_path),
        ]
    )
    with pytest.raises(UserError, match="is no Ed25519 private key"):
        signature.sign(public, b"")
