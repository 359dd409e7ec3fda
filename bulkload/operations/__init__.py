"""What a user asks for, one file each: check, plan, run, resume, report, undo, export, convert, template, doctor.

In: an input, an account, options. Out: an `Outcome`. `pipeline` alone knows the order of the stages. May import:
everything but the doors (cli, inbox).
"""
