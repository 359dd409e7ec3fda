"""Tests of other tools' formats."""
