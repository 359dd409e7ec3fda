"""Carry out what a user requests, one file per operation: run, check, plan, undo, export, convert, template, doctor.

In: an input, an account and options. Out: an `Outcome`. Only `pipeline` knows the order of the stages. May import:
everything but cli and inbox.
"""
