"""The run engine: a persisted state machine around a language model and its tools."""
