"""Goes on with a training that Keras began: a Keras file with its optimizer's state becomes a run folder."""
