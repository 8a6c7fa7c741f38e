"""Writes a program as torch source: a model.py as a person would have written it."""
