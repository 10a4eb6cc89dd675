"""What any model must beat, in the same run: one baseline a file.

Each has ``fit(split_pasts, ...)`` in its constructor and ``scores(pasts) -> [B, items] float32``.
"""
