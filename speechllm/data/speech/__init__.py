"""Recordings, synthetic speech, and the cache of encoder output."""
