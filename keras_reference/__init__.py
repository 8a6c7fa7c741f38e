"""The record's classifiers in Keras, the oracle of every parity test. Imports no torch."""
