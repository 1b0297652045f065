"""Takes down what tasks say where the caller does not hear it, so that it is said in the caller's process.

``logging``, structlog, ``warnings`` and the standard streams are set up in a worker to hand everything that the caller
wants to hear to a callable, at once and before the task goes on. In a worker of others the same stands beside what is
set up there, and takes down what tasks of ours say. What the caller wants is in ``listening``;
``records``, ``entries``, ``warned`` and ``printed`` each look after one of the four; ``wire`` turns it into bytes and
back; ``overhear`` is told of imports.
"""
