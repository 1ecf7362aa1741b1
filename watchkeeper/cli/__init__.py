"""The `watchkeeper` command: a thin rim around `shared.jobs`. It owns the clock, the environment and the terminal."""
