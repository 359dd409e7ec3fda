"""Tests of what users ask for."""
