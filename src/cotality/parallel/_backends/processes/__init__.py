"""Runs attempts in processes: a warm pool whose workers each have a channel of their own.

::

        caller                                          worker
    ┌───────────┐   channel (socket): batches, functions   ┌────────┐
    │  backend  │ ───────────────────────────────────────▶ │        │
    │           │ ◀─────────────────────────────────────── │  main  │
    │  handle   │   channel: "look", parcels               │  loop  │
    │           │                                          │        │
    │           │ ◀═══ board (shared memory): what is ═══▶ │        │
    └───────────┘      started, finished; small results    └────────┘

A worker runs the tasks of its batches one after the other and publishes each result on the *board* before it starts
the next one: a store in shared memory, where a message would cost a system call. So the parent knows at any moment
which task a worker runs, and what a worker has finished outlives it. Large values travel as *parcels*: anonymous
memory files, passed as descriptors over the channel and mapped at the other end. Nothing has a name in the file
system, so nothing can be left there.

| module | holds |
|---|---|
| ``descriptors`` | descriptors that no interrupt can lose |
| ``memory`` | anonymous memory files and parcels |
| ``channel`` | frames over a socket, with descriptors |
| ``board`` | the layout of the shared page |
| ``codec`` | values, functions and failures to bytes and back |
| ``loans`` | arguments that many tasks share |
| ``main_module`` | how a worker finds the program's ``__main__`` |
| ``launch``, ``server`` | how a worker process comes to be, and how its end is noticed |
| ``obituary`` | what is said of a worker that has ended |
| ``peak`` | how much memory a process has had |
| ``kinds``, ``results`` | what the two say to each other; what becomes of a result in its worker |
| ``worker`` | what runs in the worker |
| ``handle`` | the parent's view of one worker |
| ``backend`` | one run's use of several workers |
| ``warm`` | workers kept warm between runs |
| ``pool`` | what a run is opened on |
"""
