"""A bundle is what its manifest says, to the byte, or it is refused with the file that differs."""

import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tiny_bundle import tiny_bundle

from contracts.bundle import MANIFEST, RANKER, TOKENIZER, Bundle, FileEntry, Manifest, open_bundle, write_manifest
from contracts.errors import BundleRefused

Harm = Callable[[Path], None]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def folder(good: Bundle, tmp_path: Path) -> Path:
    """A copy to be harmed."""
    return Path(shutil.copytree(good.folder, tmp_path / "copy"))


def edit(change: Callable[[Manifest], Manifest]) -> Harm:
    """Rewrite the manifest, as somebody would who wants to slip something in."""

    def harm(folder: Path) -> None:
        path = folder / MANIFEST
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        path.write_bytes(msgspec.json.encode(change(manifest)))

    return harm


def adds(name: str, content: bytes = b"secret") -> Harm:
    entry = FileEntry(name=name, sha256=sha256(content).hexdigest(), bytes=len(content))
    return edit(lambda manifest: replace(manifest, files=(*manifest.files, entry)))


def flip_a_bit(folder: Path) -> None:
    raw = bytearray((folder / RANKER).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / RANKER).write_bytes(raw)


def cut_short(folder: Path) -> None:
    raw = (folder / RANKER).read_bytes()
    (folder / RANKER).write_bytes(raw[: len(raw) // 2])


def empty(folder: Path) -> None:
    (folder / TOKENIZER).write_bytes(b"")


def half_copied(folder: Path) -> None:
    (folder / RANKER).unlink()


def add_a_file(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"external data")


def add_a_folder(folder: Path) -> None:
    (folder / "more").mkdir()


def link_to_the_same_bytes(folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    (folder / RANKER).rename(elsewhere)
    (folder / RANKER).symlink_to(elsewhere)


def link_to_nothing(folder: Path) -> None:
    (folder / RANKER).unlink()
    (folder / RANKER).symlink_to(folder.parent / "gone")


def a_pipe_for_a_file(folder: Path) -> None:
    (folder / RANKER).unlink()
    os.mkfifo(folder / RANKER)


def a_folder_for_a_file(folder: Path) -> None:
    (folder / RANKER).unlink()
    (folder / RANKER).mkdir()


def climb_out(folder: Path) -> None:
    (folder.parent / "outside").write_bytes(b"secret")
    adds("../outside")(folder)


def absolute(folder: Path) -> None:
    (folder.parent / "outside").write_bytes(b"secret")
    adds(str(folder.parent / "outside"))(folder)


def no_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def manifest_cut_short(folder: Path) -> None:
    raw = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(raw[: len(raw) // 2])


def manifest_of_bytes(folder: Path) -> None:
    (folder / MANIFEST).write_bytes(b'{"schema":1,"name":"\xff"}')


def manifest_linked(folder: Path) -> None:
    (folder / MANIFEST).rename(folder.parent / MANIFEST)
    (folder / MANIFEST).symlink_to(folder.parent / MANIFEST)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (flip_a_bit, f"{RANKER} is not the file"),
        (cut_short, f"{RANKER} has"),
        (empty, f"{TOKENIZER} has 0 bytes"),
        (half_copied, f"{RANKER} cannot be read"),
        (add_a_file, "weights.bin is not in the manifest"),
        (add_a_folder, "more is not in the manifest"),
        (link_to_the_same_bytes, "no plain file"),
        (link_to_nothing, "no plain file"),
        (a_folder_for_a_file, "no plain file"),
        (a_pipe_for_a_file, "no plain file"),
        (climb_out, "no plain file"),
        (absolute, "no plain file"),
        (adds("sub/ranker.onnx"), "no plain file"),
        (adds(".."), "no plain file"),
        (adds("."), "no plain file"),
        (adds(""), "no plain file"),
        (adds(f"./{RANKER}"), "no plain file"),
        (adds("a\0b"), "no plain file"),
        (adds(MANIFEST), "names a file twice, or itself"),
        (adds(RANKER), "names a file twice"),
        (no_manifest, "is this a bundle"),
        (manifest_cut_short, "is not a manifest"),
        (manifest_of_bytes, "is not a manifest"),
        (manifest_linked, "no plain file"),
        (edit(lambda m: replace(m, schema=2)), "schema 2"),
        (edit(lambda m: replace(m, features_version=m.features_version + 1)), "features version"),
        (edit(lambda m: replace(m, features=("moon_phase", *m.features[1:]))), "with moon_phase"),
        (edit(lambda m: replace(m, features=m.features[::-1])), "in this order"),
        (edit(lambda m: replace(m, features=(*m.features, m.features[0]))), "in this order"),
        (edit(lambda m: replace(m, features=())), "in this order"),
        (edit(lambda m: replace(m, prerank=(1.0,))), "1 prerank weights"),
        (edit(lambda m: replace(m, heads=("click",))), "heads"),
        (edit(lambda m: replace(m, files=m.files[1:])), "is not in the manifest"),
    ],
)
def test_what_is_not_as_the_manifest_says_is_refused(folder: Path, harm: Harm, says: str) -> None:
    harm(folder)
    with pytest.raises(BundleRefused) as caught:
        open_bundle(folder)
    assert says in str(caught.value)
    assert str(folder) in str(caught.value)


def test_no_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="is this a bundle"):
        open_bundle(tmp_path / "nothing")


def test_bytes_are_checked_again_when_they_are_read(folder: Path) -> None:
    """A file may be changed between the check and the load."""
    bundle = open_bundle(folder)
    assert sha256(bundle.read(RANKER)).hexdigest() in {entry.sha256 for entry in bundle.manifest.files}
    flip_a_bit(folder)
    with pytest.raises(BundleRefused, match=RANKER):
        bundle.read(RANKER)
    with pytest.raises(BundleRefused, match="not in the manifest"):
        bundle.read("../outside")


def test_the_same_files_have_the_same_digest_and_others_another(good: Bundle, tmp_path: Path) -> None:
    assert tiny_bundle(tmp_path / "same").digest == good.digest
    assert tiny_bundle(tmp_path / "other", seed=1).digest != good.digest
    copy = Path(shutil.copytree(good.folder, tmp_path / "copy"))
    assert open_bundle(copy).digest == good.digest
    assert write_manifest(copy, replace(good.manifest, name="renamed")).digest != good.digest


def test_a_bundle_knows_its_files(good: Bundle) -> None:
    assert good.has(RANKER)
    assert not good.has(MANIFEST)
    assert good.manifest.vector_dim == good.manifest.text_dim + good.manifest.delta_dim
