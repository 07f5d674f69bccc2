"""What the machine does: samples of its GPUs, of the training process and of the host. Absence is None with a reason.

driver.py   NVIDIA's driver: found, lost, loaded anew
gpu.py      one device, sample by sample
field.py    how each field is asked for, in which unit, and what is possible
reading.py  questions that may fail one by one
owner.py    who writes a log; process.py: one process, sample by sample; outcome.py: how it ended
host.py     the machine beside its GPUs
system.py   the three together; answer.py: what is asked of driver and system, and what they answer
sampler.py  a sample a second, from threads that may hang; recording.py: into a file
"""
