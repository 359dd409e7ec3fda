"""Tests of files and text."""
