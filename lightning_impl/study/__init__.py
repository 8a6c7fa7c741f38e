"""Many fits as one piece of work: a queue of points that survives kills, and the mini-class study on it."""
