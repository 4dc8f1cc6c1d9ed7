"""GGUF: one file with weights and tokenizer, which llama.cpp and what is built on it run."""
