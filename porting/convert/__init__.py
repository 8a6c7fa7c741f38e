"""`python -m porting convert`: a Keras model file becomes a folder of torch source, weights and training."""
