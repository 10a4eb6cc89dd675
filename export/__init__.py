"""A checkpoint in, a verified ONNX bundle out."""
