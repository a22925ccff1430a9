"""Language models behind the run engine: any Chat Completions server, or the offline model."""
