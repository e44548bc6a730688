"""The images that a GAN learns from."""
