"""Moves a Keras model to torch and proves that nothing changed.

Reads what `keras_reference/record.py` wrote; imports neither keras nor tensorflow. Where Keras must run,
it runs as a child process.
"""
