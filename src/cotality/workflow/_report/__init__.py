"""A run that is over, as one page: what is worth knowing of it is computed here, once, and then only shown."""
