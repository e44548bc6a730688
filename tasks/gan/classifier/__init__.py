"""The classifiers whose opinion of images is a score."""
