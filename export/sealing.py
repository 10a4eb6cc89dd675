"""What every manifest says of its makers."""

from importlib.metadata import version

from contracts.bundle import Version

#: Whose versions stand in the manifest.
LIBRARIES = ("numpy", "onnx", "onnxruntime", "onnxscript", "safetensors", "tokenizers", "torch", "transformers")


def versions() -> tuple[Version, ...]:
    """Of the libraries that make a bundle, for its manifest."""
    return tuple(Version(library=each, version=version(each)) for each in LIBRARIES)
