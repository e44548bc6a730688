"""The two losses of WGAN-GP, as gradients."""
