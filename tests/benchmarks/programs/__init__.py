"""The programs that are measured beside ours, as their users write them; each is run as a process of its own."""
