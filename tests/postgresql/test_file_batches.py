"""The same for file batches, whose tests have names that others have too."""

from tests.contract.test_file_batches import *  # noqa: F403
