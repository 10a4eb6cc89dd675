"""Logs in, a checkpoint out (PyTorch)."""
