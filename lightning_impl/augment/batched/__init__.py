"""An `A.Compose` run on a whole batch, on the device where the batch lies."""
