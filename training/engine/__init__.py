"""The training loop and what it needs; knows no recipe and no GAN."""
