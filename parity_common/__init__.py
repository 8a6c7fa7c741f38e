"""What the Keras side and the torch side share: config files, one-line errors, the run folder.

Imports neither framework, so that either side can use it in a process that must not see the other.
"""
