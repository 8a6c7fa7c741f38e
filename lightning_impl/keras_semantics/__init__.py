"""What Keras does, in torch. A name here is Keras's rule; nothing here imports Keras."""
