"""A bundle: one immutable folder with everything that a model needs to serve, and the proof that it does.

``manifest.json`` holds the sha256 of every other file; nothing is loaded but bytes whose hash was checked. No
dates and no paths are in it, so the same checkpoint exported twice has the same digest.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import Literal

import msgspec
from msgspec import Struct

from contracts.errors import BundleRefused
from contracts.events import BundleDigest
from contracts.features import FEATURES, FEATURES_VERSION, HEADS, ORDER_HEADS
from contracts.precision import Precision, variant_name
from contracts.whole_folder import Mark

MANIFEST = "manifest.json"
ITEM_ENCODER = "item_encoder.onnx"
RETRIEVER = "retriever.onnx"
RANKER = "ranker.onnx"
TOKENIZER = "tokenizer.json"
ITEM_DELTAS = "items.safetensors"
CLASSIFIER = "classifier.onnx"
REGRESSOR = "regressor.onnx"
HEAD_FILES = {"classifier": CLASSIFIER, "regressor": REGRESSOR}  # by the manifest's kind
BIASES = "biases.json"
SCHEMA = 1
#: What export may replace; other programs have a manifest.json too.
BUNDLE = Mark(MANIFEST, '"features_version"')

Kind = Literal["recommender", "encoder", "classifier", "regressor"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")


class FileEntry(Struct, frozen=True, kw_only=True):
    """One file of the bundle."""

    name: str
    sha256: str
    bytes: int


class Tensor(Struct, frozen=True, kw_only=True):
    """An input or output of a model: axes are sizes, or names where they vary."""

    name: str
    dtype: str
    axes: tuple[str | int, ...]


class Graph(Struct, frozen=True, kw_only=True):
    """What one ONNX file takes and gives."""

    file: str
    opset: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Parity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """ONNX Runtime against PyTorch on the golden batch and the edge cases, and what was asked of it.

    ``max_abs_difference`` is at most ``tolerance``; ``rank_correlation`` (the worst list's) and ``top10_kept`` (the
    mean over all lists; of the case that keeps least, the mean over its own) are at least ``least_...``.
    ``worst_top10_kept`` None: export did not measure it then.
    """

    file: str
    max_abs_difference: float
    rank_correlation: float
    top10_kept: float
    tolerance: float
    precision: Precision = Precision.FP32
    least_rank_correlation: float = 0.0
    least_top10_kept: float = 0.0
    worst_top10_kept: float | None = None
    least_worst_top10_kept: float = 0.0


class Figure(Struct, frozen=True, kw_only=True):
    """A named number: a metric, a version's part, a hyperparameter."""

    name: str
    value: float


class Version(Struct, frozen=True, kw_only=True):
    """The version of a library that made the bundle."""

    library: str
    version: str


class TrainingFacts(Struct, frozen=True, kw_only=True):
    """What it was trained on, and how well it did on validation."""

    data_digest: str
    events: int
    shoppers: int
    items: int
    seed: int
    metrics: tuple[Figure, ...] = ()


class Manifest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything one must know to serve the bundle. ``vector_dim`` = ``text_dim`` + ``delta_dim``.

    ``prerank``: a weight for each feature, whose sum chooses the candidates that are worth the ranker's time; none:
    the sources' own order chooses. An ``encoder`` makes vectors of texts and no slates: it has no features, no heads,
    and no history. A ``classifier`` gives a text one logit for each class, and ``heads`` are its classes; a
    ``regressor`` reads an item's text beside a shopper's history and gives a rating, its one head.
    """

    schema: int
    kind: Kind = "recommender"
    name: str
    features_version: int
    features: tuple[str, ...]
    heads: tuple[str, ...]
    text_dim: int
    delta_dim: int
    max_tokens: int
    history_limit: int
    files: tuple[FileEntry, ...]
    graphs: tuple[Graph, ...]
    parity: tuple[Parity, ...]
    training: TrainingFacts
    versions: tuple[Version, ...]
    prerank: tuple[float, ...] = ()

    @property
    def vector_dim(self) -> int:
        """Columns of an item's vector."""
        return self.text_dim + self.delta_dim

    @property
    def columns(self) -> tuple[int, ...]:
        """Which of ``FEATURES`` its ranker reads."""
        return tuple(FEATURES.index(name) for name in self.features)

    @property
    def light(self) -> tuple[float, ...]:
        """``prerank`` by all of ``FEATURES``, 0 for those it does not read; none where it has none."""
        known = dict(zip(self.features, self.prerank, strict=False))
        return tuple(known.get(name, 0.0) for name in FEATURES) if known else ()


class Bundle(Struct, frozen=True):
    """A verified bundle. ``digest`` is the sha256 of its manifest, which holds those of all its files."""

    folder: Path
    manifest: Manifest
    digest: BundleDigest

    def has(self, name: str) -> bool:
        """Whether the file belongs to the bundle."""
        return any(entry.name == name for entry in self.manifest.files)

    @property
    def precisions(self) -> frozenset[Precision]:
        """In which at least one graph lies here; fp32 always."""
        files = {entry.name for entry in self.manifest.files}
        found = {p for p in Precision for graph in self.manifest.graphs if variant_name(graph.file, p) in files}
        return frozenset(found | {Precision.FP32})

    def variant(self, file: str, precision: Precision) -> str:
        """The file of a graph in a precision; fp32 where export left that one graph out of it.

        Raises: BundleRefused, where no graph at all lies here in that precision.
        """
        if precision not in self.precisions:
            raise BundleRefused(
                f"{self.folder} has no graph in {precision.value}: export it again with --variants {precision.value} "
                "(and --keep-slow, where it did not pay), or set DAOGOU_MODEL__PRECISION=fp32"
            )
        name = variant_name(file, precision)
        return name if self.has(name) else file

    def read(self, name: str) -> bytes:
        """The bytes of a file, checked against the manifest as they are read. Raises: BundleRefused."""
        entry = next((e for e in self.manifest.files if e.name == name), None)
        if entry is None:
            raise BundleRefused(f"{self.folder}: {name} is not in the manifest")
        return _checked(self.folder, entry)


def entries(folder: Path, names: tuple[str, ...]) -> tuple[FileEntry, ...]:
    """The manifest's lines for files that lie in ``folder``."""
    contents = {name: (folder / name).read_bytes() for name in sorted(names)}
    return tuple(FileEntry(name=n, sha256=sha256(c).hexdigest(), bytes=len(c)) for n, c in contents.items())


def write_manifest(folder: Path, manifest: Manifest) -> Bundle:
    """Seal a folder: write the manifest (canonical JSON) and read everything back."""
    ordered = msgspec.json.encode(manifest, order="deterministic")
    (folder / MANIFEST).write_bytes(msgspec.json.format(ordered, indent=1) + b"\n")
    return open_bundle(folder)


def open_bundle(folder: Path) -> Bundle:
    """Verify a folder whole: every file, its size, its hash, nothing missing, nothing more.

    Raises:
        BundleRefused: naming the file that differs, and how.
    """
    manifest, digest = _manifest(folder)
    _check_versions(folder, manifest)
    known = {entry.name for entry in manifest.files} | {MANIFEST}
    if len(known) != len(manifest.files) + 1:
        raise BundleRefused(f"{folder}: {MANIFEST} names a file twice, or itself")
    for entry in manifest.files:
        _checked(folder, entry)
    strangers = sorted(path.name for path in folder.iterdir() if path.name not in known)
    if strangers:
        raise BundleRefused(f"{folder}: {', '.join(strangers)} is not in the manifest; a bundle is never added to")
    return Bundle(folder, manifest, digest)


def _manifest(folder: Path) -> tuple[Manifest, BundleDigest]:
    try:
        raw = _plain(folder, MANIFEST).read_bytes()
        return msgspec.json.decode(raw, type=Manifest), BundleDigest(sha256(raw).hexdigest())
    except OSError as error:
        raise BundleRefused(f"{folder}: {MANIFEST} cannot be read ({error.strerror}); is this a bundle?") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleRefused(f"{folder}: {MANIFEST} is not a manifest: {error}") from error


def _plain(folder: Path, name: str) -> Path:
    """A file right in the folder. Raises: BundleRefused for a link, a pipe, a way out; OSError where it is missing."""
    path = folder / name
    if not _NAME.match(name) or not S_ISREG(path.lstat().st_mode):
        raise BundleRefused(f"{folder}: {name!r} is no plain file of the bundle")
    return path


def _check_versions(folder: Path, manifest: Manifest) -> None:
    if manifest.schema != SCHEMA:
        raise BundleRefused(f"{folder}: manifest schema {manifest.schema}; this daogou reads {SCHEMA}")
    if manifest.kind != "recommender":
        _check_head(folder, manifest)
        return
    _check_features(folder, manifest)
    if manifest.heads[: len(ORDER_HEADS)] != ORDER_HEADS or not set(manifest.heads) <= set(HEADS):
        raise BundleRefused(f"{folder}: heads {manifest.heads}; they must be some of {HEADS}, {ORDER_HEADS} first")


def _check_features(folder: Path, manifest: Manifest) -> None:
    """It may read fewer columns than there are, each once, in their order; none that there is not."""
    unknown = sorted(set(manifest.features) - set(FEATURES))
    if manifest.features_version != FEATURES_VERSION or unknown:
        raise BundleRefused(
            f"{folder}: made for features version {manifest.features_version}{_named(unknown)}; "
            f"this daogou computes {FEATURES_VERSION}: export the checkpoint again after training it again"
        )
    if not manifest.features or list(manifest.columns) != sorted(set(manifest.columns)):
        raise BundleRefused(f"{folder}: features {manifest.features}; they must be some of {FEATURES}, in this order")
    if manifest.prerank and len(manifest.prerank) != len(manifest.features):
        raise BundleRefused(f"{folder}: {len(manifest.prerank)} prerank weights for {len(manifest.features)} features")


def _named(unknown: Sequence[str]) -> str:
    return f" with {', '.join(unknown)}" if unknown else ""


def _check_head(folder: Path, manifest: Manifest) -> None:
    """As many outputs as heads: what cannot be named is not served."""
    wanted = {"encoder": range(1), "classifier": range(2, 100_000), "regressor": range(1, 2)}[manifest.kind]
    if len(manifest.heads) not in wanted:
        raise BundleRefused(f"{folder}: a bundle of kind {manifest.kind!r} with {len(manifest.heads)} heads")


def _checked(folder: Path, entry: FileEntry) -> bytes:
    try:
        content = _plain(folder, entry.name).read_bytes()
    except OSError as error:
        raise BundleRefused(f"{folder}: {entry.name} cannot be read ({error.strerror})") from error
    if len(content) != entry.bytes:
        raise BundleRefused(f"{folder}: {entry.name} has {len(content):,} bytes, the manifest says {entry.bytes:,}")
    if sha256(content).hexdigest() != entry.sha256:
        raise BundleRefused(f"{folder}: {entry.name} is not the file that the manifest was made for (sha256 differs)")
    return content
