"""What runs in the child process. Light to import, and nothing here knows the rest of the package."""
