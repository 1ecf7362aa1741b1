"""The local run: every function in a process of its own, with a scheduler that plays Cloud Scheduler."""
