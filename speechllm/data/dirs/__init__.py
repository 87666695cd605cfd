"""Kaldi data dirs: their tables, parts and unions."""
