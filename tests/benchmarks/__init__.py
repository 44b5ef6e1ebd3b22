"""Our server next to its peers and its floors: ``python -m tests.benchmarks``.

Only ratios taken in one run mean anything, so all servers of a run are up at
once, on one core, and take rounds in turn; the load comes from another core.
What is compared is the same work: every answer is checked before it is timed.
"""
