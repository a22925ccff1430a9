"""What holds on SQLite holds here: tests of the contract and of runs, with this folder's fixtures."""

from tests.contract.test_assistants import *  # noqa: F403
from tests.contract.test_runs import *  # noqa: F403
from tests.contract.test_threads_and_messages import *  # noqa: F403
from tests.contract.test_vector_store_files import *  # noqa: F403
from tests.runs.test_deleted_meanwhile import *  # noqa: F403
from tests.runs.test_event_order import *  # noqa: F403
from tests.runs.test_lifecycle import *  # noqa: F403
from tests.runs.test_polled_and_streamed import *  # noqa: F403

# It moves time in SQLite's file.
del test_a_run_expires  # noqa: F821
