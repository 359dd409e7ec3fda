"""`doctor`: find out how an account lists, displays and limits monitors, by reading it and by one trial monitor.

In: an account. Out: findings, and a display profile in the store. May import: what operations may.
"""
