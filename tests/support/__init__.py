"""Test support: the command line, servers on real sockets, stores, clocks, golden files and paths."""
