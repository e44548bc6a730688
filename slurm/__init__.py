"""A run on a cluster: one array of identical workers, through submitit or plain sbatch."""
