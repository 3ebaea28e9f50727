"""Work that runs in the background: training, denoising, recovery."""
