"""Alembic's environment: migrate on the connection that database.py hands over."""

from alembic import context

from understudy import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
