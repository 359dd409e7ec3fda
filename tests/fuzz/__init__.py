"""Looks for input files that crash or hang bulkload: it damages real ones at random.

python -m pytest tests/fuzz                            a fixed set of some hundred files
python -m tests.fuzz --minutes 30                      new files until the time is up
python -m tests.fuzz --seed 7 --only 1234 --keep DIR   one file again, kept for a look

originals     lists the files that are damaged: samples, fixtures and a workbook of each format
mutations     damages the bytes of a file, or the parts of a package
trial         damages one input and reads it as check and convert do
worker        runs trials in a process that may crash or run out of CPU time
runner        hands out trials and reports what broke
"""
