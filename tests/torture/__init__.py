"""Attempts to break the promises: processes killed for real, against a stand-in where everything goes wrong.

python -m pytest tests/torture                     a few minutes at most
BULKLOAD_ALL_TESTS=1 python -m pytest tests/torture      the larger, fixed set
python -m tests.torture --minutes 60               a soak: new schedules until the time is up

scenario   what is played, as plain data that can be kept as JSON
drawing    how hypothesis draws it
program    the program as a process that can be watched and killed
play       plays a scenario and checks the promises after every process
points     stops a process at the n-th of its durable steps
"""
