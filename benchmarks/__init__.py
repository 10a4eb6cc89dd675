"""Benchmarks: one command each, ratios in one run beside what a user would pick instead."""
