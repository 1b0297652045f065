"""Makes this a system that can not fork, such as Windows, for every interpreter that finds this module on its path.

So the tests run on such a system by ``PYTHONPATH=$PWD/tests/spawn_only pytest``.
"""

import os

del os.fork, os.forkpty, os.register_at_fork
