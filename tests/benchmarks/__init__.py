"""Compares trio_http with other servers and with bare Trio: ``python -m tests.benchmarks``.

Only ratios within one run are meaningful, so all servers of a run are up at once, on one core,
and take turns; the load comes from another core. All servers do the same work: every response
is checked before it is timed.
"""
