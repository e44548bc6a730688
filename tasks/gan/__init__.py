"""A GAN selected by its Inception score: so far on scikit-learn's handwritten digits."""
