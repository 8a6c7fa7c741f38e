"""The record's classifiers in Keras, one whole in each file."""

from keras_reference.models import v1, v2, v3

BUILDERS = {"v1": v1.build, "v2": v2.build, "v3": v3.build}
"""`model.arch` of a config to the function that builds it: called with keras, classes and image_size."""
