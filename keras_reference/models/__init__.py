"""The record's classifiers in Keras and one for studies, one whole in each file."""

from keras_reference.models import final, plain, v1, v2, v3

BUILDERS = {
    "v1": v1.build,
    "v2": v2.build,
    "v3": v3.build,
    "final": final.build,
    "plain": plain.build,
}
"""`model.arch` of a config to the function that builds it: called with keras, classes and image_size."""
