"""The kinds of frames that a process and its worker send each other."""

# From the parent.
SETUP, INHERIT, FUNCTION, LEND, FORGET, BATCH, VERDICT, LISTEN = range(8)
# To the parent.
READY, LOOK, PARCEL, SETTLED, UNKNOWN, BROKEN, SAYS = range(10, 17)
