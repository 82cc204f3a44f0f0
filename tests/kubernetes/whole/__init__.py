"""The whole tier: the chart on a real node, a model that serves, load, and faults. Files are named after the behaviour."""
