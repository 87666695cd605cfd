"""PEFT: a domain as an adapter that other tools load, and their adapters as domains."""
