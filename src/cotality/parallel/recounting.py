"""What a front door may ask of a run that is over, to tell others how it went.

Like :mod:`cotality.parallel.building`, for front doors and not for users.
"""

from cotality.parallel._backends.cpus import cpu_count
from cotality.parallel._backends.processes.peak import peak_of
from cotality.parallel._data.row import Row, Try
from cotality.parallel._data.slices import Slice, slices_of
from cotality.parallel._data.wording import message_of, shown
from cotality.parallel._observers.exceptions import as_data, as_text

__all__ = ["Row", "Slice", "Try", "as_data", "as_text", "cpu_count", "message_of", "peak_of", "shown", "slices_of"]
