"""Language models of text: n-grams and small networks, trained here, and any causal LM."""
