"""cotality beside the other pools of Python, measured in one run.

::

    python -m tests.benchmarks                        all cases, about forty minutes
    python -m tests.benchmarks --quick                all cases, smaller and with fewer rounds, about five minutes
    python -m tests.benchmarks --case pull-threads --case array
    python -m tests.benchmarks --write README.md      put the tables between the benchmarks marks of a file
    python -m tests.benchmarks --json figures.json    every figure of every round

Run it from the root of the repository, on a machine that does nothing else: what others take from the processors
counts against whoever is measured. ``pip install -e '.[bench,bench-workflows]'`` brings the peers, pools and workflow
engines; those that are not installed are left out, with a line that says so.

How it measures:

- Each measurement, of one case with one peer, is a fresh Python process. Its pool is started and used once before the
  clock runs, except where starting it is what is measured.
- The rounds of a case are interleaved: each measures every peer once, and each begins with another peer. What slows the
  machine down for a while hits all of them.
- The tables show the median of the rounds and, where they differ, the least and the most.
- Where a figure is per task, the number of tasks grows until a third of the time set aside for it is used, or the
  number in the title is reached: a slow peer is measured with fewer tasks.
- A graph is checked whenever it has been run: the values at its ends depend on every node.
- Each peer is used the way its documentation shows first. Nobody chooses a chunk size, but for the rows that say so.

=================  ===================================================================
module             holds
=================  ===================================================================
``case``           what a case is
``cases``          what is measured, and with which peers
``peers``          how each library runs the calls of a case
``graph_cases``    the cases of workflows
``graph_peers``    how each library runs a graph: ours, by hand, Dask
``graph_engines``  the same for Ray, Parsl and Prefect
``cluster_cases``  the cases of clusters
``cluster_peers``  how Dask and Ray run calls: through us, and by themselves
``graphs``         the patterns of Task Bench
``recorded``       the shapes of scientific workflows
``work``           the functions that are called
``gauges``         clocks and memory
``measure``        one measurement: the program of the fresh process
``runner``         fresh processes, the order of the rounds, statistics
``table``          the tables
=================  ===================================================================

A new peer is a class in ``peers``, ``graph_peers`` or ``cluster_peers`` whose name stands in the cases it takes part
in; a new case is a function in ``cases`` or in one of its companions, and an entry in their tuple.
"""
