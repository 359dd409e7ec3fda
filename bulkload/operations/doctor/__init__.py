"""`doctor`: find out how a real account lists, shows and limits, by reading it and by one trial monitor.

In: an account. Out: findings, and what was learned in the store. May import: what operations may.
"""
