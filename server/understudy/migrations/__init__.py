"""Schema migrations, run by alembic at start."""
