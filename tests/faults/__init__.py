"""Faults on purpose: what is done to the program, how often it survives, and what is lost.

`uv run python -m tests.faults.table` tries each of them many times and prints the table that the manual shows. One try
of each belongs to the suite; `pytest -m faults` runs all of them, and the guards that must turn a test red.
"""
