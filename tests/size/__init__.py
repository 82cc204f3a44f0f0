"""How much memory and time grows with the data: `make soak GOAL="memory growth"`."""
