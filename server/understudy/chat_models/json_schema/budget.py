"""What keeps the search for a value short, and how it ends without one."""


class UnsatisfiableError(ValueError):
    """No value was found that is valid for the schema."""


class BudgetSpentError(ValueError):
    """The search took too long; no other way of going on with it is tried."""


class Budget:
    """Steps that a search may take, of some microseconds each: a few lines of schema can ask for gigabytes."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Take steps away. Raises BudgetSpentError where there are none left."""
        self._left -= steps
        if self._left < 0:
            raise BudgetSpentError("it asks for too large a value, or one that is too hard to find")
