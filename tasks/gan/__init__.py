"""A GAN selected by its Inception score: so far on scikit-learn's handwritten digits."""

PUBLIC = {  # what a run directory calls what lies here or there (core/described.py)
    "DCGANDiscriminator": "tasks.gan.dcgan:Discriminator",
    "DCGANGenerator": "tasks.gan.dcgan:Generator",
    "DenseDiscriminator": "tasks.gan.dense:Discriminator",
    "DenseGenerator": "tasks.gan.dense:Generator",
    "Problem": "tasks.gan.trainer:Problem",
    "WGANGP": "tasks.gan.trainer:WGANGP",
    "cifar10_images": "tasks.gan.problems:cifar10_images",
    "cifar10_report": "tasks.gan.problems:cifar10_report",
    "cifar10_score": "tasks.gan.problems:cifar10_score",
    "critic_gradients": "tasks.gan.losses:critic_gradients",
    "dense_critic_gradients": "tasks.gan.dense_losses:critic_gradients",
    "dense_generator_gradients": "tasks.gan.dense_losses:generator_gradients",
    "digit_images": "tasks.gan.problems:digit_images",
    "digit_squares": "tasks.gan.problems:digit_squares",
    "digits_report": "tasks.gan.problems:digits_report",
    "digits_score": "tasks.gan.problems:digits_score",
    "generator_gradients": "tasks.gan.losses:generator_gradients",
}
