"""Tests of the README, the samples and the architecture."""
