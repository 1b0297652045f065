"""Runs tasks on a Dask cluster: a batch of tasks is one Dask task. Needs the extra ``dask``.

What Dask would do behind our back is kept from happening: a ``guard`` in the scheduler sees that no batch is run again
because its worker died, and that a result that was lost with its worker is not made again by running the task again.
"""
