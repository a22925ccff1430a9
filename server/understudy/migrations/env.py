"""Alembic's environment: migrate on the connection that database.py hands over."""

from alembic import context
from sqlmodel import SQLModel

from understudy import tables

assert tables  # fills SQLModel.metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
