"""Speed and memory of training, simulation and everything mode."""
