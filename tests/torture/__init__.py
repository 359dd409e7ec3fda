"""Tries to break the guarantees of bulkload: kills its processes while the sandbox injects faults.

python -m pytest tests/torture                     a few minutes at most
BULKLOAD_ALL_TESTS=1 python -m pytest tests/torture      the larger set
python -m tests.torture --minutes 60               a soak test: new scenarios until the time is up

scenario      describes a scenario, as plain data that can be stored as JSON
strategies    generates scenarios with hypothesis
program       runs the program as a process that can be watched and killed
runner        runs a scenario, and checks the guarantees after each process
crash_points  kills a process at its n-th durable step
regressions/  scenarios that once broke a guarantee
"""
