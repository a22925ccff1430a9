"""What tests are given besides the API: worlds of their own, time, ids and faults at hand. Only with `--test-api`."""
