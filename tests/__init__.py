"""Tests of bulkload."""
