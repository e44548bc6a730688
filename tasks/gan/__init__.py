"""A GAN selected by its Inception score: so far on scikit-learn's handwritten digits."""

PUBLIC = {  # what a run directory calls what lies here or there (core/directory/described.py)
    "DCGANDiscriminator": "tasks.gan.networks.dcgan:Discriminator",
    "DCGANGenerator": "tasks.gan.networks.dcgan:Generator",
    "DenseDiscriminator": "tasks.gan.networks.dense:Discriminator",
    "DenseGenerator": "tasks.gan.networks.dense:Generator",
    "Problem": "tasks.gan.trainer:Problem",
    "WGANGP": "tasks.gan.trainer:WGANGP",
    "cifar10_images": "tasks.gan.problems:cifar10_images",
    "cifar10_report": "tasks.gan.problems:cifar10_report",
    "cifar10_score": "tasks.gan.problems:cifar10_score",
    "critic_gradients": "tasks.gan.losses.autograd:critic_gradients",
    "dense_critic_gradients": "tasks.gan.losses.dense:critic_gradients",
    "dense_generator_gradients": "tasks.gan.losses.dense:generator_gradients",
    "digit_images": "tasks.gan.problems:digit_images",
    "digit_squares": "tasks.gan.problems:digit_squares",
    "digits_report": "tasks.gan.problems:digits_report",
    "digits_score": "tasks.gan.problems:digits_score",
    "generator_gradients": "tasks.gan.losses.autograd:generator_gradients",
}
