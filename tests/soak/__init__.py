"""A soak: rounds of work on processes while workers are killed, time out and are left, for as long as you like.

``python -m tests.soak --seconds 3600`` ends with a table. It ends with an error as soon as a task was lost or has run
twice, or when memory, descriptors, threads or processes have grown.
"""
