"""What the tests share: the command line, servers on real sockets, stores, clocks, golden files, the paths."""
