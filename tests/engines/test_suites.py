"""What the other walls are held to, these are too: the tests of tests/sandbox, with this folder's fixtures."""

from tests.sandbox.test_benign import *  # noqa: F403
from tests.sandbox.test_files import *  # noqa: F403
from tests.sandbox.test_limits import *  # noqa: F403
from tests.sandbox.test_session import *  # noqa: F403
from tests.sandbox.test_watchdog import *  # noqa: F403
