"""The programs that bulkload is compared with, written as their users would; each runs as a separate process."""
