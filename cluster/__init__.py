"""A real Kubernetes for tests: `python3 -m cluster up`. See docs/cluster.md."""
