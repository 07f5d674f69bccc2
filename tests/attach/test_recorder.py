"""Scripts that know nothing of gradtop, in one process with its onlookers: what is recorded, and that nothing changes."""


import torch

X = torch.linspace(-1, 1, 64).reshape(8, 8)
